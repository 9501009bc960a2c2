#include "store/s3/s3_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "store/s3/test_s3.h"
#include "testing/fake_store.h"

namespace heimdall {
namespace {

using testing::ClosableGate;
using testing::OpenGate;
using testing::TestRequest;
using testing::TestS3;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = RemoveOutcome::Kind;

class S3StoreTest : public ::testing::Test {
 protected:
  S3StoreTest() { store_ = open_s3_store(server_.options(), clock_).value(); }
  ~S3StoreTest() override { store_.reset(); }  // before the server, which waits for its clients

  // Answers the first `times` requests that begin so.
  void answer(std::string begin, int times, TestS3::Answer with) {
    server_.interfere_with([=](const TestRequest& request) mutable -> std::optional<TestS3::Interference> {
      if (!(request.method + " " + request.target).starts_with(begin) || times == 0) return std::nullopt;
      --times;
      return TestS3::Interference{.answer = with};
    });
  }

  // All keys, or the error.
  std::string listed(const ListRange& range = {}) {
    auto listing = store_->list(range);
    std::string keys;
    ObjectPage page;
    for (;;) {
      const auto status = (*listing)->next(page);
      if (!status) {
        EXPECT_TRUE(page.empty());
        EXPECT_FALSE((*listing)->next(page)) << "an error is for good";
        return "error: " + status.error().message;
      }
      for (std::size_t i = 0; i < page.size(); ++i) keys += std::string(page[i].key) + " ";
      if (*status == PageStatus::last) return keys;
    }
  }

  std::vector<RemoveOutcome> remove(const std::vector<std::string>& keys, const SendGate& gate = OpenGate()) {
    std::vector<ObjectMeta> objects;
    for (const std::string& key : keys) objects.push_back(TestS3::meta(key));
    return store_->remove(objects, gate).value();
  }
  std::vector<Kind> kinds(const std::vector<RemoveOutcome>& outcomes) {
    std::vector<Kind> result;
    for (const RemoveOutcome& outcome : outcomes) result.push_back(outcome.kind);
    return result;
  }

  testing::FakeClock clock_;
  TestS3 server_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(S3StoreTest, lists_page_by_page_and_asks_ahead) {
  server_.set_page_size(2);
  for (const char* key : {"a", "b", "c", "d", "e"}) server_.put(key);
  EXPECT_EQ(listed(), "a b c d e ");
  EXPECT_EQ(server_.count("GET /box?list-type=2"), 3U);
  EXPECT_EQ(listed({"", "b", "c"}), "c ");
  EXPECT_EQ(listed({"c", "", ""}), "c ");
  EXPECT_EQ(listed({"", "d", "d"}), "");
}

// Invariant 2: MinIO ends a list early behind some keys. Only the token that led to a page can tell that nothing follows it.
TEST_F(S3StoreTest, an_end_that_was_found_by_key_is_believed_by_token_only) {
  S3Options options = server_.options();
  options.server = S3Server::minio;
  store_ = open_s3_store(options, clock_).value();
  server_.set_page_size(2);
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g"}) server_.put(key);
  EXPECT_EQ(listed(), "a b c d e f g ");
  EXPECT_GT(server_.count("GET /box?list-type=2&encoding-type=url&max-keys=1000&start-after="), 0U);

  const std::string nothing = "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>";
  const std::string short_page =
      "<ListBucketResult><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>e</Key><Size>3</Size></Contents></ListBucketResult>";
  for (const std::string& body : {nothing, short_page}) {
    answer("GET /box?list-type=2&encoding-type=url&max-keys=1000&start-after=d", 1, {200, body});
    EXPECT_EQ(listed(), "a b c d e f g ") << body;
  }
  // Where the range ends before that, nobody needs to know.
  answer("GET /box?list-type=2&encoding-type=url&max-keys=1000&start-after=d", 1, {200, short_page});
  EXPECT_EQ(listed({"", "", "d"}), "a b c d ");
}

TEST_F(S3StoreTest, a_server_nobody_knows_is_listed_by_its_tokens) {
  server_.set_page_size(2);
  for (const char* key : {"a", "b", "c", "d", "e"}) server_.put(key);
  EXPECT_EQ(listed({"", "b", ""}), "c d e ");
  EXPECT_EQ(server_.count("GET /box?list-type=2&encoding-type=url&max-keys=1000&start-after="), 0U);
}

TEST_F(S3StoreTest, a_range_begins_behind_its_bound_where_the_server_can) {
  S3Options options = server_.options();
  options.server = S3Server::aws;
  store_ = open_s3_store(options, clock_).value();
  for (const char* key : {"a", "b", "c", "d"}) server_.put(key);
  EXPECT_EQ(listed({"", "b", "c"}), "c ");
  EXPECT_EQ(server_.count("GET /box?list-type=2&encoding-type=url&max-keys=1000&start-after=b"), 1U);
}

// Invariant 2: a failed page fails its range, whatever its shape.
TEST_F(S3StoreTest, a_page_that_is_none_fails_the_listing) {
  server_.set_page_size(1);
  server_.put("a");
  server_.put("b");
  const std::string second = "GET /box?list-type=2&encoding-type=url&max-keys=1000&continuation-token=a";
  const std::string stuck =
      "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>"
      "<Contents><Key>b</Key><Size>1</Size></Contents></ListBucketResult>";
  for (const std::string body : {"", "<html>busy</html>", "<Error><Code>InternalError</Code></Error>", "<ListBucketResult>",
                                 "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>"}) {
    answer(second, 100, {200, body});
    EXPECT_THAT(listed(), HasSubstr("error: cannot list bucket 'box'")) << body;
  }
  answer(second, 100, {200, stuck});
  EXPECT_THAT(listed(), HasSubstr("does not get on"));
  answer(second, 100, {404, "404 page not found"});
  EXPECT_THAT(listed(), HasSubstr("does not come from an S3 server"));
  answer(second, 100, TestS3::problem(404, "NoSuchBucket"));
  EXPECT_THAT(listed(), HasSubstr("there is no bucket 'box'"));
  answer(second, 100, TestS3::problem(500, "InternalError"));
  EXPECT_THAT(listed(), HasSubstr("the server answers 500 (InternalError)"));
}

TEST_F(S3StoreTest, what_passes_is_asked_again) {
  server_.set_page_size(1);
  server_.put("a");
  server_.put("b");
  answer("GET /box?list-type=2", 2, {200, "<html>busy</html>"});
  EXPECT_EQ(listed(), "a b ");
  answer("GET /box?list-type=2", 3, TestS3::problem(503, "SlowDownRead"));
  EXPECT_EQ(listed(), "a b ");
  answer("GET /box?list-type=2", 2, {502, "<html>bad gateway</html>"});
  EXPECT_EQ(listed(), "a b ");
  server_.interfere_with([n = 0](const TestRequest&) mutable -> std::optional<TestS3::Interference> {
    if (n++ > 1) return std::nullopt;
    return TestS3::Interference{.broken = TestS3::Break::reset};
  });
  EXPECT_EQ(listed(), "a b ");
  EXPECT_GT(clock_.slept().count(), 0);
}

TEST_F(S3StoreTest, waits_as_long_as_the_server_asks) {
  answer("HEAD /box", 1, {429, "", "Retry-After: 7\r\n"});
  EXPECT_TRUE(store_->server_time());
  EXPECT_GE(clock_.slept(), std::chrono::seconds(7));
}

// An answer 404 is absence only if S3 says that it is this key that is missing (invariant 2).
TEST_F(S3StoreTest, not_every_404_is_an_absent_object) {
  EXPECT_EQ(store_->head(ObjectKey("gone")).error().code, ErrorCode::not_found);
  const auto head_with = [&](TestS3::Answer with) {
    server_.interfere_with([=](const TestRequest&) { return std::optional(TestS3::Interference{.answer = with}); });
    return store_->head(ObjectKey("gone")).error();
  };
  EXPECT_EQ(head_with({404, "404 page not found"}).code, ErrorCode::corrupt);
  EXPECT_EQ(head_with({404, "<html><title>404</title></html>"}).code, ErrorCode::corrupt);
  EXPECT_EQ(head_with({404, ""}).code, ErrorCode::corrupt);
  EXPECT_EQ(head_with(TestS3::problem(404, "NoSuchBucket")).code, ErrorCode::failed_precondition);
  EXPECT_EQ(head_with({404, "", "x-minio-error-code: NoSuchBucket\r\n"}).code, ErrorCode::failed_precondition);
  EXPECT_EQ(head_with({404, "", "x-minio-error-code: NoSuchKey\r\n"}).code, ErrorCode::not_found);
  EXPECT_EQ(head_with({301, "", "Location: http://elsewhere/\r\n"}).code, ErrorCode::corrupt);
}

TEST_F(S3StoreTest, says_what_is_wrong_and_what_to_do) {
  const auto error_of = [&](TestS3::Answer with) {
    server_.interfere_with([=](const TestRequest&) { return std::optional(TestS3::Interference{.answer = with}); });
    return store_->server_time().error();
  };
  Error error = error_of(TestS3::problem(403, "SignatureDoesNotMatch"));
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.message, HasSubstr("a wrong secret key (SignatureDoesNotMatch)"));
  error = error_of(TestS3::problem(403, "InvalidAccessKeyId"));
  EXPECT_THAT(error.message, HasSubstr("does not know the access key"));
  EXPECT_THAT(error.hint, HasSubstr("AWS_ACCESS_KEY_ID"));
  error = error_of(TestS3::problem(403, "AccessDenied"));
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.hint, HasSubstr("s3:ListBucket on the bucket of 'box'"));
  error = error_of(TestS3::problem(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"));
  EXPECT_EQ(error.code, ErrorCode::failed_precondition);
  EXPECT_THAT(error.message, HasSubstr("in region 'eu-west-1', not in 'us-east-1'"));
  error = error_of({301, "", "x-amz-bucket-region: ap-south-1\r\n"});
  EXPECT_THAT(error.hint, HasSubstr("region: ap-south-1"));
  error = error_of(TestS3::problem(404, "NoSuchBucket"));
  EXPECT_EQ(error.code, ErrorCode::not_found);
}

// So that the clock_skew guard can refuse with numbers.
TEST_F(S3StoreTest, asks_a_server_of_another_time_by_the_clock_of_that_server) {
  clock_.set_now(clock_.now() + std::chrono::hours(2));
  server_.interfere_with([](const TestRequest& request) -> std::optional<TestS3::Interference> {
    if (request.head.find("20261123T0014") != std::string::npos) return std::nullopt;
    return TestS3::Interference{.answer = TestS3::problem(403, "RequestTimeTooSkewed")};
  });
  EXPECT_EQ(store_->server_time().value(), clock_.now() - std::chrono::hours(2));
}

TEST_F(S3StoreTest, takes_up_rotated_keys) {
  S3Options options = server_.options();
  auto key = std::make_shared<std::string>("OLD");
  options.environment = [key](const std::string& name) -> std::optional<std::string> {
    if (name == "AWS_ACCESS_KEY_ID") return *key;
    return name == "AWS_SECRET_ACCESS_KEY" ? std::optional<std::string>("secret") : std::nullopt;
  };
  const auto reader = open_s3_reader(options, clock_).value();
  server_.interfere_with([key](const TestRequest& request) -> std::optional<TestS3::Interference> {
    if (request.head.find("Credential=NEW/") != std::string::npos) return std::nullopt;
    *key = "NEW";
    return TestS3::Interference{.answer = TestS3::problem(403, "InvalidAccessKeyId")};
  });
  EXPECT_TRUE(reader->server_time());
}

TEST_F(S3StoreTest, names_the_bucket_by_its_creation_or_by_where_it_is) {
  EXPECT_EQ(store_->identity().value(), "s3:box@2026-01-02T03:04:05Z");
  EXPECT_EQ(open_s3_reader(server_.options(), clock_).value()->identity().value(), "s3:box@2026-01-02T03:04:05Z");
  const std::string here = "s3:box@" + server_.options().endpoint.substr(7);
  answer("GET /", 100, TestS3::problem(403, "AccessDenied"));
  EXPECT_EQ(store_->identity().value(), here);
  answer("GET /", 100, {200, "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"});
  EXPECT_EQ(store_->identity().value(), here);
  // versitygw's date moves with each change of the directory.
  answer("HEAD /box", 100, {200, "", "Server: VERSITYGW\r\n"});
  EXPECT_EQ(store_->identity().value(), here);
  // Trouble is no other name.
  answer("GET /", 100, TestS3::problem(500, "InternalError"));
  EXPECT_EQ(store_->identity().error().code, ErrorCode::unavailable);
  answer("HEAD /box", 100, {404, "", "x-minio-error-code: NoSuchBucket\r\n"});
  EXPECT_EQ(store_->identity().error().code, ErrorCode::not_found);
}

TEST_F(S3StoreTest, tells_what_it_could_not_ask) {
  answer("GET /box?lifecycle=", 100, TestS3::problem(501, "NotImplemented"));
  auto facts = store_->facts().value();
  EXPECT_EQ(facts.versioning, StoreFacts::Versioning::off);
  ASSERT_GE(facts.not_told.size(), 1U);
  EXPECT_THAT(facts.not_told.back(), HasSubstr("cannot read the lifecycle rules of bucket 'box'"));
  answer("GET /box?versioning=", 100, TestS3::problem(403, "AccessDenied"));
  facts = store_->facts().value();
  EXPECT_EQ(facts.versioning, StoreFacts::Versioning::unknown);
  answer("GET /box?versioning=", 100, TestS3::problem(500, "InternalError"));
  EXPECT_FALSE(store_->facts());
}

// Dense keys cost a page, sparse ones a HEAD each; what a list lacks is asked.
TEST_F(S3StoreTest, inspects_as_it_is_cheapest_and_believes_no_absence_in_a_list) {
  std::vector<ObjectKey> asked;
  for (int i = 1000; i < 1100; ++i) {
    server_.put("d/" + std::to_string(i));
    asked.emplace_back("d/" + std::to_string(i));
  }
  const auto all_found = [&] {
    std::size_t found = 0;
    const auto answers = store_->inspect(asked);
    for (std::size_t i = 0; i < asked.size(); ++i) found += answers[i] && *answers[i] == TestS3::meta(asked[i].bytes()) ? 1 : 0;
    return found == asked.size();
  };
  EXPECT_TRUE(all_found());
  EXPECT_EQ(server_.count("HEAD /box/d/"), 1U);

  // A server that ends its lists early.
  answer("GET /box?list-type=2", 1, {200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"});
  EXPECT_TRUE(all_found());
  EXPECT_EQ(server_.count("HEAD /box/d/"), 101U);

  server_.interfere_with(nullptr);
  for (int i = 0; i < 5000; ++i) server_.put("d/10" + std::to_string(10000 + i));
  EXPECT_TRUE(all_found());
  EXPECT_LE(server_.count("GET /box?list-type=2"), 4U);
}

// Invariant 6, in all the ways in which an answer can be less than it should be.
TEST_F(S3StoreTest, what_is_not_answered_by_name_is_in_doubt) {
  for (const char* key : {"a", "b", "c", "d"}) server_.put(key);
  answer("POST /box?delete=", 1,
         {200, "<DeleteResult><Deleted/><Deleted><Key>b</Key></Deleted><Deleted><Key>b</Key></Deleted><Deleted><Key>c</Key></Deleted>"
               "<Error><Key>c</Key><Code>AccessDenied</Code></Error><Error><Key>d</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"});
  const auto outcomes = remove({"a", "b", "c", "d"});
  EXPECT_THAT(kinds(outcomes), ElementsAre(Kind::in_doubt, Kind::deleted, Kind::in_doubt, Kind::failed));
  EXPECT_THAT(outcomes[3].message, HasSubstr("no (AccessDenied)"));
  EXPECT_EQ(server_.count("POST"), 1U);
}

// Invariant 6 and 12: what left is never sent again, whatever came of it.
TEST_F(S3StoreTest, a_request_without_a_clear_answer_is_sent_once) {
  server_.put("a");
  server_.put("b");
  const auto sent = [&] { return server_.count("POST /box?delete="); };
  ASSERT_THAT(kinds(remove({"none", "nothing"})), ElementsAre(Kind::already_gone, Kind::already_gone));
  EXPECT_EQ(sent(), 0U);
  remove({"a", "b"});
  for (const TestS3::Answer& with : std::vector<TestS3::Answer>{{200, "<html>ok</html>"}, {200, ""}, {500, "<Error><Code>InternalError</Code></Error>"},
                                                                {502, ""}, {503, "<html>busy</html>"}, {504, ""}, {404, "not found"}, {302, ""},
                                                                {400, "<Error><Code>RequestTimeout</Code></Error>"}}) {
    server_.put("a");
    server_.put("b");
    answer("POST /box?delete=", 100, with);
    const auto before = sent();
    EXPECT_THAT(kinds(remove({"a", "b"})), ElementsAre(Kind::in_doubt, Kind::in_doubt)) << with.status << with.body;
    EXPECT_EQ(sent(), before + 1) << with.status << with.body;
  }
  server_.interfere_with([](const TestRequest& request) -> std::optional<TestS3::Interference> {
    if (request.method != "POST") return std::nullopt;
    return TestS3::Interference{.broken = TestS3::Break::reset};
  });
  const auto before = sent();
  EXPECT_THAT(kinds(remove({"a", "b"})), ElementsAre(Kind::in_doubt, Kind::in_doubt));
  EXPECT_EQ(sent(), before + 1);
}

// Invariants 2 and 6: an object was there a moment before. What is absent behind our request was deleted by it; what is there was not, whatever the answer says.
TEST_F(S3StoreTest, believes_no_answer_that_says_that_there_was_nothing) {
  const auto of_each = [](const char* code) {
    std::string body;
    for (const char* key : {"a", "b"}) body += format("<Error><Key>{}</Key><Code>{}</Code></Error>", key, code);
    return TestS3::Answer{200, "<DeleteResult>" + body + "</DeleteResult>"};
  };
  for (const TestS3::Answer& with : {TestS3::problem(404, "NoSuchBucket"), of_each("NoSuchKey")}) {
    server_.put("a");
    server_.put("b");
    server_.interfere_with([&](const TestRequest& request) -> std::optional<TestS3::Interference> {
      if (request.method != "POST") return std::nullopt;
      server_.erase("b");
      return TestS3::Interference{.answer = with};
    });
    const auto outcomes = remove({"a", "b"});
    EXPECT_THAT(kinds(outcomes), ElementsAre(Kind::failed, Kind::deleted)) << with.body;
    EXPECT_THAT(outcomes[0].message, HasSubstr("NoSuch")) << with.body;
  }
}

// Invariant 6: a proxy may say "not now" to what the server did.
TEST_F(S3StoreTest, looks_at_what_went_out_before_it_gives_up) {
  for (const bool closes : {true, false}) {
    server_.put("a");
    server_.put("b");
    ClosableGate gate;
    server_.interfere_with([&](const TestRequest& request) -> std::optional<TestS3::Interference> {
      if (request.method != "POST") return std::nullopt;
      server_.erase("b");
      if (closes) gate.close();
      return TestS3::Interference{.answer = TestS3::problem(503, "SlowDown")};
    });
    EXPECT_THAT(kinds(remove({"a", "b"}, gate)), ElementsAre(closes ? Kind::not_sent : Kind::failed, Kind::deleted));
  }
}

TEST_F(S3StoreTest, slows_down_for_an_error_inside_a_success) {
  server_.put("a");
  server_.put("b");
  answer("POST /box?delete=", 2, {200, "<Error><Code>SlowDown</Code><Message>later</Message></Error>"});
  EXPECT_THAT(kinds(remove({"a", "b"})), ElementsAre(Kind::deleted, Kind::deleted));
  server_.put("a");
  server_.put("b");
  answer("POST /box?delete=", 1, {200, "<Error><Code>InternalError</Code><Message>who knows</Message></Error>"});
  const auto outcomes = remove({"a", "b"});
  EXPECT_THAT(kinds(outcomes), ElementsAre(Kind::in_doubt, Kind::in_doubt));
  EXPECT_THAT(outcomes[0].message, HasSubstr("who knows"));
}

// "Not now" is the server's word that it did nothing; before the repeat each object is looked at again.
TEST_F(S3StoreTest, sends_again_what_the_server_turned_away) {
  for (const char* key : {"a", "b", "c", "d"}) server_.put(key);
  server_.interfere_with([this, n = 0](const TestRequest& request) mutable -> std::optional<TestS3::Interference> {
    if (request.method != "POST" || request.body.find("<Key>a</Key>") == std::string::npos || n++ > 0) return std::nullopt;
    server_.put("b", "rewritten");
    server_.erase("c");
    std::string body;
    for (const char* key : {"a", "b", "c"}) body += format("<Error><Key>{}</Key><Code>SlowDownWrite</Code></Error>", key);
    server_.erase("d");
    return TestS3::Interference{.answer = TestS3::Answer{200, "<DeleteResult>" + body + "<Deleted><Key>d</Key></Deleted></DeleteResult>"}};
  });
  EXPECT_THAT(kinds(remove({"a", "b", "c", "d"})), ElementsAre(Kind::deleted, Kind::changed, Kind::deleted, Kind::deleted));
  EXPECT_TRUE(server_.has("b"));
  EXPECT_FALSE(server_.has("a"));

  server_.put("a");
  server_.put("c");
  answer("POST /box?delete=", 2, TestS3::problem(503, "SlowDown"));
  EXPECT_THAT(kinds(remove({"a", "c"})), ElementsAre(Kind::deleted, Kind::deleted));
  server_.put("a");
  server_.put("c");
  answer("POST /box?delete=", 100, TestS3::problem(503, "SlowDown"));
  EXPECT_THAT(kinds(remove({"a", "c"})), ElementsAre(Kind::failed, Kind::failed));
}

// A sweep takes fewer batches at once by these.
TEST_F(S3StoreTest, tells_how_hard_the_server_finds_it) {
  EXPECT_EQ(store_->strain().push_backs, 0U);
  for (const char* key : {"a", "b"}) server_.put(key);
  answer("POST /box?delete=", 1, {200, "<DeleteResult><Error><Key>a</Key><Code>SlowDown</Code></Error><Error><Key>b</Key><Code>SlowDown</Code>"
                                       "</Error></DeleteResult>"});
  EXPECT_THAT(kinds(remove({"a", "b"})), ElementsAre(Kind::deleted, Kind::deleted));
  EXPECT_EQ(store_->strain().push_backs, 2U) << "they are hidden in a success";
  server_.interfere_with([this](const TestRequest&) {
    clock_.advance(std::chrono::milliseconds(300));
    return std::optional<TestS3::Interference>();
  });
  ASSERT_TRUE(store_->server_time());
  EXPECT_GT(store_->strain().latency.count(), 0);
  answer("GET /box?list-type=2", 1, TestS3::problem(503, "SlowDownRead"));
  EXPECT_EQ(listed(), "");
  EXPECT_GE(store_->strain().push_backs, 3U);
}

// Invariant 12: also between repeats.
TEST_F(S3StoreTest, a_gate_that_closes_between_repeats_ends_them) {
  server_.put("a");
  server_.put("b");
  ClosableGate gate;
  server_.interfere_with([&](const TestRequest& request) -> std::optional<TestS3::Interference> {
    if (request.method != "POST" || request.body.find("<Key>a</Key>") == std::string::npos) return std::nullopt;
    gate.close();
    return TestS3::Interference{.answer = TestS3::problem(503, "SlowDown")};
  });
  EXPECT_THAT(kinds(remove({"a", "b"}, gate)), ElementsAre(Kind::not_sent, Kind::not_sent));
  EXPECT_TRUE(server_.has("a"));
}

// Invariant 5: an object that was seen a moment ago is not asked twice, and one that was seen earlier is.
TEST_F(S3StoreTest, compares_just_before_it_sends) {
  server_.put("a");
  server_.put("b");
  const std::vector<ObjectKey> keys = {ObjectKey("a"), ObjectKey("b")};
  ASSERT_TRUE(store_->inspect(keys)[0]);
  const auto heads = server_.count("HEAD /box/");
  EXPECT_THAT(kinds(remove({"a"})), ElementsAre(Kind::deleted));
  EXPECT_EQ(server_.count("HEAD /box/a") + server_.count("HEAD /box/b"), heads);
  clock_.advance(std::chrono::seconds(2));
  server_.put("b", "rewritten");
  EXPECT_THAT(kinds(remove({"b"})), ElementsAre(Kind::changed));
  EXPECT_TRUE(server_.has("b"));
}

// Its connections take so long that each comparison is old by the time a request could leave; `meanwhile` happens then.
class SlowToLeave final : public SendGate {
 public:
  SlowToLeave(testing::FakeClock& clock, int times, std::function<void()> meanwhile = [] {}) : clock_(clock), times_(times), meanwhile_(std::move(meanwhile)) {}
  bool is_open() const override {
    if (std::this_thread::get_id() == asking_ || left_++ >= times_) return true;
    meanwhile_();
    clock_.advance(std::chrono::seconds(2));
    return true;
  }

 private:
  testing::FakeClock& clock_;
  const int times_;
  const std::function<void()> meanwhile_;
  const std::thread::id asking_ = std::this_thread::get_id();
  mutable std::atomic<int> left_{0};
};

// Invariant 5: what is written while a request waits for its connection is met by another comparison, by whatever way the object goes.
TEST_F(S3StoreTest, a_comparison_that_is_old_when_the_request_would_leave_is_made_again) {
  server_.put("first");
  ASSERT_THAT(kinds(remove({"first"})), ElementsAre(Kind::deleted));  // what the server can do is known now
  for (const auto& [kept, goes] : {std::pair<std::string, std::string>{"a", "b"}, {"a//x", "b//x"}}) {
    server_.put(kept);
    server_.put(goes);
    const SlowToLeave gate(clock_, 1, [&, key = kept] { server_.put(key, "rewritten"); });
    EXPECT_THAT(kinds(remove({kept, goes}, gate)), ElementsAre(Kind::changed, Kind::deleted));
    EXPECT_TRUE(server_.has(kept));
  }
}

TEST_F(S3StoreTest, what_never_leaves_in_time_has_failed) {
  server_.put("first");
  ASSERT_THAT(kinds(remove({"first"})), ElementsAre(Kind::deleted));
  server_.put("a");
  const auto outcomes = remove({"a"}, SlowToLeave(clock_, 1000));
  EXPECT_THAT(kinds(outcomes), ElementsAre(Kind::failed));
  EXPECT_THAT(outcomes[0].message, HasSubstr("within 2s of the comparison"));
  EXPECT_TRUE(server_.has("a"));
}

TEST_F(S3StoreTest, nothing_is_sent_for_what_cannot_be_compared) {
  server_.put("a");
  answer("HEAD /box/a", 100, TestS3::problem(403, "AccessDenied"));
  server_.interfere_with([](const TestRequest& request) -> std::optional<TestS3::Interference> {
    if (!request.target.starts_with("/box/a")) return std::nullopt;
    return TestS3::Interference{.answer = TestS3::problem(403, "AccessDenied")};
  });
  const auto outcomes = remove({"a"});
  EXPECT_THAT(kinds(outcomes), ElementsAre(Kind::failed));
  EXPECT_THAT(outcomes[0].message, HasSubstr("could not be compared"));
  EXPECT_EQ(server_.count("DELETE"), 0U);

  ObjectMeta undated = TestS3::meta("u");
  undated.last_modified = std::nullopt;
  answer("HEAD /box/u", 100, {200, "", "Content-Length: 3\r\nETag: \"e1\"\r\nLast-Modified: soon\r\n"});
  EXPECT_THAT(kinds(store_->remove(std::vector{undated}, OpenGate()).value()), ElementsAre(Kind::failed));
}

// DELETE of an empty key would be that of the bucket.
TEST_F(S3StoreTest, refuses_keys_that_are_not_objects_of_the_bucket) {
  for (const char* key : {"", ".heimdall-storage/x", ".heimdall-trash/x"}) {
    EXPECT_EQ(store_->remove(std::vector{TestS3::meta(key)}, OpenGate()).error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(store_->head(ObjectKey(key)));
  }
  EXPECT_EQ(store_->remove(std::vector{TestS3::meta("a"), TestS3::meta("a")}, OpenGate()).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(server_.requests().size(), 0U);
}

TEST_F(S3StoreTest, signs_deletes_with_keys_of_their_own) {
  S3Options options = server_.options();
  options.delete_credentials.emplace();
  options.delete_credentials->access_key.environment = "SWEEP_KEY";
  options.delete_credentials->secret_key.environment = "SWEEP_SECRET";
  options.environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "AWS_ACCESS_KEY_ID") return "READER";
    if (name == "SWEEP_KEY") return "SWEEPER";
    return name == "AWS_SECRET_ACCESS_KEY" || name == "SWEEP_SECRET" ? std::optional<std::string>("secret") : std::nullopt;
  };
  const auto store = open_s3_store(options, clock_).value();
  server_.put("a");
  server_.interfere_with([](const TestRequest& request) -> std::optional<TestS3::Interference> {
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (request.head.find(reads ? "Credential=READER/" : "Credential=SWEEPER/") != std::string::npos) return std::nullopt;
    return TestS3::Interference{.answer = TestS3::problem(403, "AccessDenied")};
  });
  EXPECT_THAT(kinds(store->remove(std::vector{TestS3::meta("a")}, OpenGate()).value()), ElementsAre(Kind::deleted));
}

TEST_F(S3StoreTest, tries_deleting_without_a_trace) {
  EXPECT_TRUE(store_->try_deleting(TryBy::asking)->proved);
  EXPECT_EQ(server_.count("PUT"), 0U);
  answer("GET /box?versioning=", 100, {200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"});
  EXPECT_FALSE(store_->try_deleting(TryBy::asking)->proved);
  answer("DELETE /box/.heimdall-storage/", 100, TestS3::problem(403, "AccessDenied"));
  const auto denied = store_->try_deleting(TryBy::writing);
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(denied.error().hint, HasSubstr("s3:DeleteObject on the objects of 'box'"));
  EXPECT_EQ(server_.count("PUT"), 0U);
  answer("PUT", 100, TestS3::problem(403, "AccessDenied"));
  const auto no_put = store_->try_deleting(TryBy::writing).value();
  EXPECT_TRUE(no_put.proved);
  EXPECT_THAT(no_put.not_told, HasSubstr("cannot write"));
}

}  // namespace
}  // namespace heimdall
