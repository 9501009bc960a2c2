#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "store/s3/s3_store.h"
#include "store/s3/test_s3.h"
#include "testing/fake_store.h"

namespace heimdall {
namespace {

using testing::OpenGate;
using testing::TestRequest;
using testing::TestS3;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;

// Counts "store operation status".
class CountedTraffic final : public StoreTraffic {
 public:
  void request_began(std::string_view, std::string_view) override {
    const std::scoped_lock lock(mutex_);
    ++under_way_;
  }
  void request_ended(std::string_view store, std::string_view operation, std::string_view status, std::chrono::nanoseconds took) override {
    const std::scoped_lock lock(mutex_);
    --under_way_;
    ++ended_[std::string(store) + " " + std::string(operation) + " " + std::string(status)];
    longest_ = std::max(longest_, took);
  }
  void request_retried(std::string_view, std::string_view operation) override {
    const std::scoped_lock lock(mutex_);
    ++retried_[std::string(operation)];
  }
  std::map<std::string, int> ended() {
    const std::scoped_lock lock(mutex_);
    return ended_;
  }
  std::map<std::string, int> retried() {
    const std::scoped_lock lock(mutex_);
    return retried_;
  }
  int under_way() {
    const std::scoped_lock lock(mutex_);
    return under_way_;
  }
  std::chrono::nanoseconds longest() {
    const std::scoped_lock lock(mutex_);
    return longest_;
  }

 private:
  std::mutex mutex_;
  int under_way_ = 0;
  std::map<std::string, int> ended_, retried_;
  std::chrono::nanoseconds longest_{0};
};

// Closes when the request is about to leave, on the client's own thread.
class LastMomentGate final : public SendGate {
 public:
  bool is_open() const override { return std::this_thread::get_id() == asking_; }

 private:
  std::thread::id asking_ = std::this_thread::get_id();
};

class S3TrafficTest : public ::testing::Test {
 protected:
  S3TrafficTest() { open(server_.options()); }
  ~S3TrafficTest() override { store_.reset(); }  // before the server, which waits for its clients

  void open(S3Options options) {
    options.traffic = &traffic_;
    options.store_name = "minio";
    store_ = open_s3_store(std::move(options), clock_).value();
  }
  // Answers the first `times` requests that begin so.
  void answer(std::string begin, int times, TestS3::Interference with) {
    server_.interfere_with([=](const TestRequest& request) mutable -> std::optional<TestS3::Interference> {
      if (!(request.method + " " + request.target).starts_with(begin) || times == 0) return std::nullopt;
      --times;
      return with;
    });
  }
  void list() {
    const auto listing = store_->list({}).value();
    ObjectPage page;
    while (true) {
      const auto status = listing->next(page);
      ASSERT_TRUE(status.has_value()) << status.error().message;
      if (*status == PageStatus::last) return;
    }
  }

  testing::FakeClock clock_;
  TestS3 server_;
  CountedTraffic traffic_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(S3TrafficTest, each_request_is_told_by_what_it_does_and_how_it_ended) {
  server_.set_page_size(1);
  server_.put("a");
  server_.put("b");
  list();
  EXPECT_TRUE(store_->head(ObjectKey("a")).has_value());
  EXPECT_FALSE(store_->head(ObjectKey("none")).has_value());
  const std::vector<ObjectMeta> objects = {TestS3::meta("a")};
  EXPECT_EQ(store_->remove(objects, OpenGate()).value().front().kind, RemoveOutcome::Kind::deleted);
  const auto ended = traffic_.ended();
  EXPECT_EQ(ended.at("minio list 200"), 3) << "two pages, and the probe's own";
  EXPECT_GE(ended.at("minio bucket 200"), 1);
  EXPECT_GE(ended.at("minio head 200"), 1);
  EXPECT_GE(ended.at("minio head 404"), 1);
  EXPECT_EQ(ended.at("minio delete 200"), 1);
  EXPECT_GE(ended.at("minio delete 204"), 1) << "what the probe wrote";
  EXPECT_GE(ended.at("minio put 200"), 1);
  EXPECT_EQ(traffic_.under_way(), 0);
  EXPECT_GT(traffic_.longest().count(), 0);
  EXPECT_THAT(traffic_.retried(), ::testing::IsEmpty());
}

TEST_F(S3TrafficTest, repeats_are_told) {
  answer("GET /box?list-type=2", 2, {.answer = TestS3::problem(503, "SlowDown")});
  list();
  EXPECT_EQ(traffic_.ended().at("minio list 503"), 2);
  EXPECT_EQ(traffic_.ended().at("minio list 200"), 1);
  EXPECT_THAT(traffic_.retried(), ElementsAre(Pair("list", 2)));
  answer("GET /box?list-type=2", 1, {.answer = TestS3::Answer{200, "<html>"}});
  list();
  EXPECT_THAT(traffic_.retried(), ElementsAre(Pair("list", 3))) << "an answer that makes no sense is asked for again";
}

TEST_F(S3TrafficTest, what_has_no_answer_is_told_by_what_is_known) {
  // The first reset comes on a kept connection, where libcurl sends the request again by itself.
  answer("GET /box?list-type=2", 2, {.broken = TestS3::Break::reset});
  list();
  EXPECT_EQ(traffic_.ended().at("minio list unreachable"), 1);
  server_.put("a");
  answer("POST /box?delete", 1, {.broken = TestS3::Break::reset});
  const std::vector<ObjectMeta> objects = {TestS3::meta("a")};
  EXPECT_EQ(store_->remove(objects, OpenGate()).value().front().kind, RemoveOutcome::Kind::in_doubt);
  EXPECT_EQ(traffic_.ended().at("minio delete in_doubt"), 1);
  EXPECT_EQ(traffic_.under_way(), 0);
}

TEST_F(S3TrafficTest, a_server_that_says_nothing_times_out) {
  // Takes connections, and never says a word.
  const int silent = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent, 16), 0);
  ASSERT_EQ(getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  S3Options options = server_.options();
  options.endpoint = format("http://127.0.0.1:{}", ntohs(address.sin_port));
  options.request_timeout = std::chrono::milliseconds(100);
  open(options);
  EXPECT_EQ(store_->server_time().error().code, ErrorCode::unavailable);
  EXPECT_EQ(traffic_.ended().at("minio bucket timeout"), 4);
  store_.reset();
  close(silent);
}

TEST_F(S3TrafficTest, what_came_too_late_was_not_sent) {
  server_.put("a");
  const std::vector<ObjectMeta> objects = {TestS3::meta("a")};
  EXPECT_EQ(store_->remove(objects, LastMomentGate()).value().front().kind, RemoveOutcome::Kind::not_sent);
  EXPECT_GE(traffic_.ended().at("minio delete not_sent"), 1);
  EXPECT_TRUE(server_.has("a"));
  EXPECT_EQ(traffic_.under_way(), 0);
}

TEST_F(S3TrafficTest, a_ping_is_one_request_and_tells_what_is_wrong) {
  EXPECT_TRUE(store_->ping({}).has_value());
  EXPECT_THAT(server_.requests(), ElementsAre("HEAD /box"));
  answer("", 1000, {.answer = TestS3::problem(503, "SlowDown")});
  EXPECT_EQ(store_->ping({}).error().code, ErrorCode::throttled);
  EXPECT_EQ(server_.requests().size(), 2U) << "nothing is tried again";
  answer("", 1000, {.answer = TestS3::problem(404, "NoSuchBucket")});
  EXPECT_EQ(store_->ping({}).error().code, ErrorCode::not_found);
  answer("", 1000, {.answer = TestS3::problem(403, "AccessDenied")});
  EXPECT_EQ(store_->ping({}).error().code, ErrorCode::permission_denied);
  answer("", 1000, {.broken = TestS3::Break::reset});
  EXPECT_EQ(store_->ping({}).error().code, ErrorCode::unavailable);
  server_.interfere_with({});
  EXPECT_TRUE(store_->ping({}).has_value());
}

TEST_F(S3TrafficTest, a_ping_can_be_stopped) {
  std::stop_source stop;
  std::promise<void> looked;
  server_.interfere_with([&, is_over = looked.get_future().share()](const TestRequest&) -> std::optional<TestS3::Interference> {
    stop.request_stop();
    is_over.wait();
    return std::nullopt;
  });
  EXPECT_EQ(store_->ping(stop.get_token()).error().code, ErrorCode::cancelled);
  looked.set_value();
}

// What hangs in a store must not keep a run that is to end.
TEST_F(S3TrafficTest, what_only_reads_is_given_up_soon_after_a_stop) {
  std::stop_source stop;
  S3Options options = server_.options();
  options.stop = stop.get_token();
  options.request_timeout = std::chrono::minutes(5);
  open(options);
  std::promise<void> ended;
  server_.interfere_with([&, is_over = ended.get_future().share()](const TestRequest&) -> std::optional<TestS3::Interference> {
    stop.request_stop();
    is_over.wait();
    return std::nullopt;
  });
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(store_->identity().error().code, ErrorCode::cancelled);
  const auto asked = traffic_.under_way();
  EXPECT_EQ(store_->server_time().error().code, ErrorCode::cancelled);
  EXPECT_EQ(store_->facts().error().code, ErrorCode::cancelled);
  EXPECT_EQ(store_->capacity().error().code, ErrorCode::cancelled);
  EXPECT_EQ(store_->head(ObjectKey("a")).error().code, ErrorCode::cancelled);
  const std::vector<ObjectKey> keys(100, ObjectKey("a"));
  for (const auto& found : store_->inspect(keys)) EXPECT_EQ(found.error().code, ErrorCode::cancelled);
  EXPECT_EQ(traffic_.under_way(), asked) << "of a server that hangs no more is asked";
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(60));
  EXPECT_TRUE(traffic_.retried().empty());
  ended.set_value();
}

TEST_F(S3TrafficTest, a_server_that_is_well_may_still_answer_after_a_stop) {
  std::stop_source stop;
  S3Options options = server_.options();
  options.stop = stop.get_token();
  open(options);
  stop.request_stop();
  server_.put("a");
  EXPECT_TRUE(store_->head(ObjectKey("a")));
  EXPECT_EQ(store_->head(ObjectKey("b")).error().code, ErrorCode::not_found);
}

TEST_F(S3TrafficTest, nothing_is_tried_again_after_a_stop) {
  std::stop_source stop;
  S3Options options = server_.options();
  options.stop = stop.get_token();
  open(options);
  server_.interfere_with([&](const TestRequest&) -> std::optional<TestS3::Interference> {
    stop.request_stop();
    return TestS3::Interference{.answer = TestS3::problem(503, "SlowDown")};
  });
  EXPECT_EQ(store_->identity().error().code, ErrorCode::cancelled) << "a bucket does not get another name for it";
  EXPECT_EQ(server_.requests().size(), 1U);
  server_.interfere_with([](const TestRequest&) { return TestS3::Interference{.answer = TestS3::problem(403, "AccessDenied")}; });
  EXPECT_EQ(store_->server_time().error().code, ErrorCode::permission_denied) << "what the server refuses it refuses";
}

// Invariant 6: what may have been done is waited for, so that its outcome is known.
TEST_F(S3TrafficTest, a_delete_that_left_is_waited_for_after_a_stop) {
  std::stop_source stop;
  S3Options options = server_.options();
  options.stop = stop.get_token();
  open(options);
  server_.put("a");
  server_.interfere_with([&](const TestRequest& request) -> std::optional<TestS3::Interference> {
    if (request.method != "POST") return std::nullopt;
    stop.request_stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // longer than what only reads is waited for
    return std::nullopt;
  });
  const std::vector<ObjectMeta> objects = {TestS3::meta("a")};
  const auto outcomes = store_->remove(objects, OpenGate());
  EXPECT_EQ(outcomes.value().front().kind, RemoveOutcome::Kind::deleted);
}

// Nothing left, so nothing failed: the object stays for the next run.
TEST_F(S3TrafficTest, what_could_not_be_compared_for_a_stop_is_not_sent) {
  std::stop_source stop;
  S3Options options = server_.options();
  options.stop = stop.get_token();
  open(options);
  server_.put("a");
  std::promise<void> ended;
  server_.interfere_with([&, is_over = ended.get_future().share()](const TestRequest&) -> std::optional<TestS3::Interference> {
    stop.request_stop();
    is_over.wait();
    return std::nullopt;
  });
  const std::vector<ObjectMeta> objects = {TestS3::meta("a")};
  EXPECT_EQ(store_->remove(objects, OpenGate()).value().front().kind, RemoveOutcome::Kind::not_sent);
  ended.set_value();
  EXPECT_EQ(server_.count("POST"), 0U);
}

TEST_F(S3TrafficTest, capacity_is_asked_of_minio_only_and_refusals_are_no_errors) {
  EXPECT_EQ(store_->capacity().value(), std::nullopt);
  EXPECT_THAT(server_.requests(), ElementsAre("HEAD /box")) << "it does not call itself MinIO";

  S3Options options = server_.options();
  options.server = S3Server::minio;
  open(options);
  const std::string info = R"({"Disks":[{"totalspace":10,"usedspace":4,"availspace":6,"pool_index":0,"disk_index":0}],"Backend":{"StandardSCData":[1]}})";
  answer("GET /minio/admin/v3/storageinfo", 1, {.answer = TestS3::Answer{200, info}});
  EXPECT_EQ(store_->capacity().value(), (StoreCapacity{10, 4, 6}));
  EXPECT_THAT(traffic_.ended(), Contains(Pair("minio capacity 200", 1)));
  for (const TestS3::Answer& refusal : {TestS3::problem(403, "AccessDenied"), TestS3::problem(404, "NoSuchKey"), TestS3::Answer{404, "404 page not found"},
                                        TestS3::problem(400, "XMinioAdminNotInitialized"), TestS3::Answer{200, "<html>"}, TestS3::Answer{200, ""}}) {
    answer("GET /minio/admin/v3/storageinfo", 1, {.answer = refusal});
    EXPECT_EQ(store_->capacity().value(), std::nullopt) << refusal.body;
  }
  answer("GET /minio/admin/v3/storageinfo", 1, {.answer = TestS3::problem(503, "SlowDown")});
  EXPECT_EQ(store_->capacity().error().code, ErrorCode::throttled);
}

TEST_F(S3TrafficTest, the_server_is_asked_what_it_is_before_its_capacity) {
  answer("HEAD /box", 1, {.answer = TestS3::Answer{200, "", "Server: MinIO\r\n"}});
  EXPECT_EQ(store_->capacity().value(), std::nullopt);
  EXPECT_THAT(server_.requests(), ElementsAre("HEAD /box", "GET /minio/admin/v3/storageinfo"));
}

}  // namespace
}  // namespace heimdall
