#include "store/s3/s3_xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/format.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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

Listed read(const std::string& body, std::string_view prefix = "", std::string previous = "") {
  Listed listed;
  const auto page = ListPage::parse(body);
  if (!page) {
    EXPECT_EQ(page.error().code, ErrorCode::corrupt);
    listed.error = page.error().message;
    return listed;
  }
  const auto visited = page->visit(prefix, previous, [&](const ObjectView& object) { listed.objects.push_back(object.to_meta()); });
  if (!visited) {
    EXPECT_EQ(visited.error().code, ErrorCode::corrupt);
    listed.error = visited.error().message;
  }
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

TEST(ListPage, tells_where_it_goes_on) {
  const auto page = ListPage::parse(
      list(contents("a") + contents("b%2F"), "<IsTruncated>true</IsTruncated><NextContinuationToken>x&amp;y</NextContinuationToken>"));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->next_token(), "x&y");
  EXPECT_EQ(page->last_key(), "b/");
  EXPECT_EQ(page->size(), 2U);
  EXPECT_EQ(ListPage::parse(list(""))->last_key(), std::nullopt);
  // A token with U+FFFD would go on somewhere else.
  const auto lost = ListPage::parse("<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a\xEF\xBF\xBD</NextContinuationToken>" +
                                    contents("a") + "</ListBucketResult>");
  EXPECT_FALSE(lost);
}

TEST(S3Xml, expands_no_entities) {
  const auto listed = read("<!DOCTYPE x [<!ENTITY e \"boom\">]><ListBucketResult><IsTruncated>false</IsTruncated>" + contents("a&e;b") + "</ListBucketResult>");
  EXPECT_THAT(keys(listed), ElementsAre("a&e;b"));
}

TEST(S3Xml, survives_deep_nesting) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_FALSE(ListPage::parse(deep));
  EXPECT_FALSE(parse_delete_result(deep));
}

TEST(S3Xml, a_problem_is_an_error_document_with_a_code) {
  const auto problem = parse_problem("<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message><Region>eu-west-1</Region></Error>");
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->code, "AuthorizationHeaderMalformed");
  EXPECT_EQ(problem->message, "wrong");
  EXPECT_EQ(problem->region, "eu-west-1");
  for (const char* body : {"", "<html/>", "<Error/>", "<Error><Code></Code></Error>", "404 page not found"}) EXPECT_FALSE(parse_problem(body)) << body;
}

TEST(S3Xml, writes_deletes_that_say_each_key_and_answers_of_all) {
  const std::vector<DeleteItem> items = {{"a<&>\"' b", ""}, {"c", "e\"1"}};
  EXPECT_THAT(delete_request(items), HasSubstr("<Object><Key>a&lt;&amp;&gt;&quot;&apos; b</Key></Object>"
                                               "<Object><Key>c</Key><ETag>&quot;e&quot;1&quot;</ETag></Object><Quiet>false</Quiet></Delete>"));
}

TEST(S3Xml, knows_keys_that_do_not_come_through) {
  for (const char* key : {"a", "a b", " ", "\xC3\xA9", "\xF0\x9F\x8E\xB5", "<&>", "\xEF\xBF\xBD"}) EXPECT_TRUE(xml_can_carry(key)) << key;
  for (const char* key : {"\x01", "a\tb", "a\nb", "a\rb", "\x7F", "\xFF", "\xC3", "\xEF\xBF\xBE", "a\xEF\xBF\xBF"}) EXPECT_FALSE(xml_can_carry(key)) << key;
}

TEST(S3Xml, reads_what_became_of_each_key) {
  const auto answer = parse_delete_result(
      "<DeleteResult><Deleted><Key> a </Key><DeleteMarker>true</DeleteMarker></Deleted><Deleted/><Deleted><Key> </Key></Deleted>"
      "<Error><Key>b&#39;</Key><Code>SlowDown</Code><Message>later</Message></Error></DeleteResult>");
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->deleted, ElementsAre(" a ", "", " "));
  ASSERT_EQ(answer->refused.size(), 1U);
  EXPECT_EQ(answer->refused[0].key, "b'");
  EXPECT_EQ(answer->refused[0].problem.code, "SlowDown");
  for (const char* body : {"", "<html/>", "<DeleteResult>", "<DeleteResult><Deleted><Key>a</Key></Deleted>", "<Error><Code>x</Code></Error>"}) {
    EXPECT_FALSE(parse_delete_result(body)) << body;
  }
}

TEST(S3Xml, reads_facts_about_buckets) {
  const std::string buckets =
      "<ListAllMyBucketsResult><Buckets><Bucket><Name>a</Name><CreationDate>2026-11-22T10:00:00.123Z</CreationDate></Bucket>"
      "<Bucket><Name>b</Name><CreationDate>soon</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>";
  EXPECT_EQ(*parse_creation_date(buckets, "a"), "2026-11-22T10:00:00.123Z");
  EXPECT_EQ(*parse_creation_date(buckets, "b"), std::nullopt);
  EXPECT_EQ(*parse_creation_date(buckets, "c"), std::nullopt);
  EXPECT_FALSE(parse_creation_date("<html/>", "a"));

  using Versioning = StoreFacts::Versioning;
  EXPECT_EQ(*parse_versioning("<VersioningConfiguration/>"), Versioning::off);
  EXPECT_EQ(*parse_versioning("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"), Versioning::enabled);
  EXPECT_EQ(*parse_versioning("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"), Versioning::suspended);
  EXPECT_EQ(*parse_versioning("<VersioningConfiguration><Status>Odd</Status></VersioningConfiguration>"), Versioning::unknown);

  EXPECT_TRUE(*parse_object_lock("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"));
  EXPECT_FALSE(*parse_object_lock("<ObjectLockConfiguration/>"));

  EXPECT_EQ(*parse_expiry_rules(
                "<LifecycleConfiguration><Rule><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>"
                "<Rule><Status>Disabled</Status><Expiration><Days>3</Days></Expiration></Rule>"
                "<Rule><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>"
                "<Rule><Status>Enabled</Status><Transition><Days>3</Days></Transition></Rule></LifecycleConfiguration>"),
            1U);
}

}  // namespace
}  // namespace heimdall
