#include "store/s3/list_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/format.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Grouping = ListRules::Grouping;

std::string contents(const std::string& key, const std::string& size = "3", const std::string& date = "2026-11-22T10:00:00.999Z") {
  return format("<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&#34;e1&#34;</ETag><Size>{}</Size></Contents>", key, date, size);
}

std::string list(const std::string& inside, const std::string& end = "<IsTruncated>false</IsTruncated>") {
  return "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType>" + inside +
         end + "</ListBucketResult>";
}

struct Listed {
  std::vector<ObjectMeta> objects;
  std::string error;
};

Listed read(const std::string& body, std::string prefix = "", std::string previous = "") {
  Listed listed;
  ObjectPage page;
  const auto head = read_list_page(body, {.prefix = std::move(prefix), .previous = std::move(previous)}, page);
  if (!head) {
    EXPECT_EQ(head.error().code, ErrorCode::corrupt);
    EXPECT_TRUE(page.empty());
    listed.error = head.error().message;
  }
  for (std::size_t i = 0; i < page.size(); ++i) listed.objects.push_back(page[i].to_meta());
  return listed;
}

std::vector<std::string> keys(const Listed& listed) {
  std::vector<std::string> result;
  for (const ObjectMeta& object : listed.objects) result.push_back(object.key.bytes());
  return result;
}

TEST(ListPage, decodes_keys_as_encoding_type_url_writes_them) {
  const auto listed = read(list(contents("%01") + contents("a+b%2Bc%7e") + contents("a/%C3%A9")));
  EXPECT_EQ(listed.error, "");
  EXPECT_THAT(keys(listed), ElementsAre("\x01", "a b+c~", "a/\xC3\xA9"));
  const ObjectMeta& first = listed.objects[0];
  EXPECT_EQ(first.size_bytes, 3U);
  EXPECT_EQ(first.etag, "e1");
  EXPECT_EQ(first.version_id, "");
  // To the second, as HEAD tells it.
  EXPECT_EQ(first.last_modified, Timestamp(std::chrono::seconds(1795341600)));
}

// versitygw ignores encoding-type, and writes U+FFFD for what XML cannot carry: those names are not known (invariant 4).
TEST(ListPage, takes_keys_as_they_are_where_the_server_does_not_encode) {
  const std::string body = "<ListBucketResult><EncodingType></EncodingType><IsTruncated>false</IsTruncated>" + contents(" ") +
                           contents("a\xEF\xBF\xBD") + contents("a%20+b") + contents("a&lt;&#xA;") + "</ListBucketResult>";
  EXPECT_THAT(keys(read(body)), ElementsAre(" ", "a%20+b", "a<\n"));
}

// Invariant 4: unknown means keep.
TEST(ListPage, keeps_object_with_unparsable_date) {
  for (const char* date : {"", "yesterday", "2026-13-01T00:00:00Z", "0"}) {
    const auto listed = read(list(contents("a", "3", date)));
    ASSERT_EQ(listed.objects.size(), 1U) << date;
    EXPECT_EQ(listed.objects[0].last_modified, std::nullopt) << date;
  }
}

// Invariant 2: whatever is no whole list is an error, never a short or empty page.
TEST(ListPage, takes_nothing_else_for_a_page) {
  const std::string whole = list(contents("a") + contents("b"));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_NE(read(whole.substr(0, size)).error, "") << whole.substr(0, size);
  for (const char* body :
       {"", " ", "{}", "<html><body>Sign in</body></html>", "<!DOCTYPE html><html><head></head></html>", "<ListBucketResult/>",
        "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", "<Error><Code>InternalError</Code><Message>oh</Message></Error>",
        "<ListBucketResult><IsTruncated>False</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult><html/>"}) {
    EXPECT_NE(read(body).error, "") << body;
  }
  EXPECT_THAT(read("<Error><Code>InternalError</Code><Message>oh</Message></Error>").error, HasSubstr("oh (InternalError)"));
  EXPECT_THAT(read("<html><body>Sign in</body></html>").error, HasSubstr("Sign in"));
}

TEST(ListPage, believes_no_page_that_contradicts_itself) {
  EXPECT_EQ(read(list("<KeyCount>1</KeyCount>" + contents("a"))).error, "");
  EXPECT_THAT(read(list("<KeyCount>2</KeyCount>" + contents("a"))).error, HasSubstr("says that it has 2 keys and has 1"));
  EXPECT_NE(read(list("<KeyCount>many</KeyCount>" + contents("a"))).error, "");
  EXPECT_NE(read(list(contents("a"), "<IsTruncated>true</IsTruncated>")).error, "");
  EXPECT_NE(read(list("", "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>")).error, "");
  EXPECT_NE(read(list("<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>")).error, "");
  EXPECT_THAT(read(list(contents("b") + contents("a"))).error, HasSubstr("'a' comes after 'b'"));
  EXPECT_THAT(read(list(contents("a") + contents("a"))).error, HasSubstr("'a' comes after 'a'"));
  EXPECT_THAT(read(list(contents("a")), "", "a").error, HasSubstr("order"));
  EXPECT_THAT(read(list(contents("b")), "a/").error, HasSubstr("does not heed the prefix"));
  EXPECT_NE(read(list(contents(""))).error, "");
  EXPECT_NE(read(list(contents("a%2"))).error, "");
  EXPECT_NE(read(list(contents("a%zz"))).error, "");
  for (const char* size : {"", "-1", "3 ", "0x3", "99999999999999999999"}) EXPECT_NE(read(list(contents("a", size))).error, "") << size;
}

Result<ListHead> head_of(const std::string& body, const ListRules& rules = {}) {
  ObjectPage page;
  return read_list_page(body, rules, page);
}

const std::string kGoesOn = "<IsTruncated>true</IsTruncated><NextContinuationToken>x&amp;y</NextContinuationToken>";

TEST(ListPage, tells_where_it_goes_on) {
  const auto head = head_of(list(contents("a") + contents("b%2F"), kGoesOn));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->next_token, "x&y");
  EXPECT_EQ(head->last_key, "b/");
  EXPECT_EQ(head->keys, 2U);
  EXPECT_EQ(head_of(list(""))->last_key, std::nullopt);
  // A token with U+FFFD would go on somewhere else.
  const std::string lost = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a\xEF\xBF\xBD</NextContinuationToken>";
  EXPECT_FALSE(head_of(lost + contents("a") + "</ListBucketResult>"));
  EXPECT_FALSE(head_of(list(contents("a"), "<IsTruncated>true</IsTruncated><NextContinuationToken>" + std::string(100'000, 'x') +
                                               "</NextContinuationToken>")));
}

// A key of which bytes are not known says nothing about where the list is.
TEST(ListPage, takes_no_unknown_name_for_the_last_key) {
  const std::string end = "<IsTruncated>false</IsTruncated></ListBucketResult>";
  const auto head = head_of("<ListBucketResult>" + contents("a") + contents("b\xEF\xBF\xBD") + end);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->last_key, "a");
  EXPECT_EQ(head->keys, 2U);
  EXPECT_EQ(head_of("<ListBucketResult>" + contents("b\xEF\xBF\xBD") + end)->last_key, std::nullopt);
}

std::string group(const std::string& prefix) { return "<CommonPrefixes><Prefix>" + prefix + "</Prefix></CommonPrefixes>"; }

TEST(ListPage, reads_groups_that_were_asked_for) {
  const ListRules rules{.prefix = "a/", .grouping = Grouping::by_delimiter};
  const auto head = head_of(list("<KeyCount>3</KeyCount>" + contents("a/z") + group("a/b%2F") + group("a/c+d/")), rules);
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_THAT(head->common_prefixes, ElementsAre("a/b/", "a/c d/"));
  EXPECT_EQ(head->keys, 1U);
  EXPECT_EQ(head->last_key, "a/z");
  // A page may hold groups alone.
  EXPECT_TRUE(head_of(list(group("a/b/"), kGoesOn), rules));
  EXPECT_THAT(head_of(list(contents("a/")), rules)->common_prefixes, IsEmpty());
}

TEST(ListPage, believes_no_groups_that_contradict_themselves) {
  const ListRules rules{.prefix = "a/", .grouping = Grouping::by_delimiter};
  for (const std::string& groups : {group("b/"), group("a/c/") + group("a/b/"), group("a/b/") + group("a/b/"), group("a/"), group(""), group("a/%2"),
                                    std::string("<CommonPrefixes/>"), "<KeyCount>2</KeyCount>" + group("a/b/")}) {
    EXPECT_FALSE(head_of(list(groups), rules)) << groups;
  }
  for (const char* groups : {"<CommonPrefixes/>", "<CommonPrefixes></CommonPrefixes>", "<CommonPrefixes>x</CommonPrefixes>"}) {
    EXPECT_FALSE(head_of(list(groups))) << groups;
  }
}

// Invariant 4: a key that is named by what nobody defined is not known.
TEST(ListPage, refuses_entities_that_are_none_of_xml_and_whoever_defines_some) {
  const std::string bomb = "<!DOCTYPE x [<!ENTITY e \"boom\"><!ENTITY f \"&e;&e;\">]><ListBucketResult><IsTruncated>false</IsTruncated>";
  EXPECT_NE(read(bomb + contents("a") + "</ListBucketResult>").error, "");
  EXPECT_THAT(read("<!DOCTYPE x>" + list(contents("a"))).error, HasSubstr("DOCTYPE"));
  for (const char* key : {"a&f;b", "a&b", "&", "a&#0;", "&#x110000;", "&#x;", "&amp"}) {
    EXPECT_THAT(read(list(contents(key))).error, HasSubstr("an entity that nobody defined")) << key;
  }
  EXPECT_THAT(keys(read(list(contents("a&#233;&amp;&#x1F600;")))), ElementsAre("a\u00e9&\U0001F600"));
  EXPECT_THAT(keys(read(list("<!-- &zz; --><?pi &zz; ?>" + contents("<![CDATA[a&zz;]]>")))), ElementsAre("a&zz;"));
}

// Invariant 4.
TEST(ListPage, refuses_what_is_there_twice_or_is_an_error) {
  for (const char* inside : {"<IsTruncated>false</IsTruncated>", "<NextContinuationToken>a</NextContinuationToken><NextContinuationToken>b</NextContinuationToken>",
                             "<Contents><Key>a</Key><Key>b</Key></Contents>", "<Contents><Key>a</Key><Size>1</Size><Size>2</Size></Contents>"}) {
    EXPECT_THAT(read(list(inside)).error, HasSubstr("where one belongs")) << inside;
  }
  EXPECT_THAT(read(list("<Error><Code>InternalError</Code><Message>half way</Message></Error>")).error, HasSubstr("half way (InternalError)"));
  EXPECT_THAT(read(list("<Error>x</Error>")).error, HasSubstr("the list holds an error"));
}

// Invariant 11: what a server makes up costs no more than its size.
TEST(ListPage, refuses_what_no_server_lists) {
  EXPECT_EQ(read(list(contents(std::string(4096, 'k')))).error, "");
  EXPECT_THAT(read(list(contents(std::string(4097, 'k')))).error, HasSubstr("a key of 4097 bytes"));
  EXPECT_LT(read(list(contents(std::string(7 << 20, 'k') + "%"))).error.size(), 5000U);

  std::string many;
  for (int i = 0; i <= 10'000; ++i) {
    if (i == 10'000) {
      EXPECT_EQ(read(list(many)).objects.size(), 10'000U);
    }
    many += contents(format("{:06}", i));
  }
  EXPECT_THAT(read(list(many)).error, HasSubstr("10001 keys"));

  std::string small_ones, deep;
  for (int i = 0; i < 1'000'000; ++i) {
    small_ones += "<a/>";
    deep += "<a>";
  }
  EXPECT_THAT(read(list(small_ones)).error, HasSubstr("more elements"));
  EXPECT_NE(read(deep).error, "");
  EXPECT_NE(read(deep.substr(0, 3 * 300'000)).error, "");
}

}  // namespace
}  // namespace heimdall
