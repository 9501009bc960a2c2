#include "store/s3/list_scanner.h"

#include <gtest/gtest.h>

#include <random>

#include "base/format.h"
#include "store/s3/byte_search.h"
#include "store/s3/s3_xml.h"

namespace heimdall {
namespace {

constexpr ByteSearch kTwins[] = {ByteSearch::simd, ByteSearch::plain};

// Whether the scanner takes this page; then all three readers must say the same of it.
bool is_taken(const std::string& body) {
  bool taken = false;
  for (const ByteSearch twin : kTwins) {
    std::string scanned_body = body, parsed_body = body;
    const auto scanned = scan_list_page(scanned_body, twin);
    EXPECT_TRUE(twin == ByteSearch::simd || taken == scanned.has_value()) << body;
    taken = scanned.has_value();
    if (!scanned) {
      EXPECT_EQ(scanned_body, body);
      continue;
    }
    const auto parsed = parse_list_page(parsed_body);
    EXPECT_TRUE(parsed) << body;
    EXPECT_TRUE(parsed && *parsed == *scanned) << body;
  }
  return taken;
}

const std::string kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const std::string kRoot = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
const std::string kObject =
    "<Contents><Key>a%2F&amp;b</Key><LastModified>2026-11-22T10:00:00.000Z</LastModified><ETag>&#34;00000000000000000000000000000000-1&#34;</ETag>"
    "<Size>5</Size><Owner><ID></ID><DisplayName></DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>";

std::string page(const std::string& inside) { return kDeclaration + kRoot + inside + "<IsTruncated>false</IsTruncated></ListBucketResult>"; }

TEST(ListScanner, takes_pages_as_servers_write_them) {
  EXPECT_TRUE(is_taken(page("")));
  EXPECT_TRUE(is_taken(page(kObject)));
  EXPECT_TRUE(is_taken("<ListBucketResult></ListBucketResult>"));
  const std::string minio = "<Name>b</Name><Prefix></Prefix><NextContinuationToken>a[minio_cache:v2,return:]&amp;</NextContinuationToken><KeyCount>2</KeyCount>"
                            "<MaxKeys>2</MaxKeys><Delimiter></Delimiter>";
  EXPECT_TRUE(is_taken(page(minio + kObject + kObject + "<EncodingType>url</EncodingType>")));
  const std::string aws = "<Contents><Key>a+b</Key><LastModified>2026-11-22T10:00:00.000Z</LastModified><ETag>&quot;0123&quot;</ETag>"
                          "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
                          "<Size>0</Size><StorageClass>GLACIER</StorageClass><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>"
                          "</Contents>";
  EXPECT_TRUE(is_taken(page("<EncodingType>url</EncodingType><Name>b</Name><Prefix/><Delimiter/><StartAfter/>" + aws)));
  // Blanks between elements, elements in another order, and ones that came later.
  EXPECT_TRUE(is_taken(" \n" + page("\n <Contents>\r\n <Size>1</Size>\t<ETag>\"e\"</ETag><New>x</New> <Key>k</Key>\n</Contents> ") + "\n"));
  EXPECT_TRUE(is_taken(page("<Contents></Contents>")));
}

TEST(ListScanner, replaces_the_entities_that_servers_write) {
  std::string body = page("<Contents><Key>&lt;&gt;&quot;&apos;&amp;amp;&#65;&#x42;&#10; </Key></Contents>");
  EXPECT_TRUE(is_taken(body));
  EXPECT_EQ(scan_list_page(body)->objects[0].key, "<>\"'&amp;AB\n ");
}

TEST(ListScanner, leaves_the_unusual_to_the_exact_reader) {
  for (const char* inside :
       {"<!-- c -->", "<![CDATA[x]]>", "x", "<?pi?>", "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>", "<CommonPrefixes></CommonPrefixes>",
        "<KeyCount>1</KeyCount><KeyCount>1</KeyCount>", "<KeyCount/>", "<IsTruncated/>", "<Contents/>", "<Contents><Key/></Contents>", "<Contents>x</Contents>",
        "<Contents a=\"b\"></Contents>", "<Contents ></Contents>", "<Contents><Key>a</Key><Key>b</Key></Contents>",
        "<Contents><Key><![CDATA[a]]></Key></Contents>", "<Contents><Key>a<!-- --></Key></Contents>", "<Contents><Key>a<b/></Key></Contents>",
        "<Contents><Key>&unknown;</Key></Contents>", "<Contents><Key>&#0;</Key></Contents>", "<Contents><Key>&#233;</Key></Contents>",
        "<Contents><Key>&#x;</Key></Contents>", "<Contents><Key>&#-1;</Key></Contents>", "<Contents><Key>a&</Key></Contents>",
        "<Contents><ETag>&#34;a</ETag></Contents>", "<Contents><ETag>a&amp;b</ETag></Contents>", "<Contents><Size>&#49;</Size></Contents>",
        "<Contents><Other>&unknown;</Other></Contents>", "<Error>x</Error>", "<Contents><StorageClass>&x;</StorageClass></Contents>",
        "<Contents><Key>a</Size></Contents>", "<Contents><Other>a</Othes></Contents>", "<Contents><Owner><ID>a</Owner></Contents>"}) {
    EXPECT_FALSE(is_taken(page(inside))) << inside;
  }
  EXPECT_FALSE(is_taken("<!DOCTYPE x>" + page("")));
  EXPECT_FALSE(is_taken("\xEF\xBB\xBF" + page("")));
  EXPECT_FALSE(is_taken(page("") + "<html/>"));
  EXPECT_FALSE(is_taken(page("") + "x"));
  EXPECT_FALSE(is_taken("<ListBucketResult a=\"b\"></ListBucketResult>"));
  EXPECT_FALSE(is_taken("<Error><Code>x</Code></Error>"));
}

// A zero byte is the end for the exact reader.
TEST(ListScanner, takes_no_page_with_a_zero_byte_or_a_cut_one) {
  const std::string whole = page(kObject + kObject);
  ASSERT_TRUE(is_taken(whole));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = '\0';
    EXPECT_FALSE(is_taken(changed)) << at;
    EXPECT_FALSE(is_taken(whole.substr(0, at))) << at;
  }
}

// Pages as servers write them with odd keys, and the same with some bytes changed.
TEST(ListScanner, says_what_the_exact_reader_says) {
  std::mt19937 random(20261125);
  const std::vector<std::string> pieces = {"a", "/", "%2F", "%", "+", "&amp;", "&lt;", "&#34;", "&#x3C;", "&", ";", "\xEF\xBF\xBD", "\xC3\xA9", " ", "\n",
                                           "long-piece-of-more-than-sixteen-bytes", "]]>", "'", "\"", "#"};
  const std::string noise("<>&;/\"'=!?-[]% \nKSEx\0\x80", 23);
  int taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string inside;
    for (auto n = random() % 4; n > 0; --n) {
      std::string key;
      for (auto m = random() % 6; m > 0; --m) key += pieces[random() % pieces.size()];
      inside += format("<Contents><Key>{}</Key>{}<ETag>&quot;e&quot;</ETag><Size>{}</Size></Contents>", key, random() % 2 == 0 ? "\n" : "", random() % 1000);
    }
    std::string body = page(inside);
    for (auto changes = random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % body.size();
      if (random() % 2 == 0) body[at] = noise[random() % noise.size()];
      else body.erase(at, random() % 9);
    }
    taken += is_taken(body) ? 1 : 0;
  }
  EXPECT_GT(taken, 4000);
}

TEST(ByteSearch, twins_find_the_first_byte_wherever_it_is) {
  std::mt19937 random(20261125);
  for (int round = 0; round < 50'000; ++round) {
    std::string text(random() % 70, '\0');
    for (char& c : text) c = random() % 8 == 0 ? "<&%+\0\xBC\xA6"[random() % 7] : static_cast<char>(random());
    const char* const begin = text.data() + (text.empty() ? 0 : random() % text.size());
    const char* const end = text.data() + text.size();
    const char* expected = begin;
    while (expected != end && *expected != '<' && *expected != '&' && *expected != '\0') ++expected;
    ASSERT_EQ((PlainBytes::find<'<', '&', '\0'>(begin, end)), expected);
    ASSERT_EQ((SimdBytes::find<'<', '&', '\0'>(begin, end)), expected);
  }
}

}  // namespace
}  // namespace heimdall
