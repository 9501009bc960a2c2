#include "store/s3/s3_xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(S3Xml, survives_deep_nesting) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_list_page(deep));
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
