#pragma once

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "base/clock.h"
#include "base/format.h"
#include "object_store_contract.h"
#include "store/s3/s3_session.h"
#include "store/s3/s3_store.h"
#include "store/s3/s3_xml.h"
#include "test_server.h"
#include "testing/fake_store.h"

namespace heimdall::testing {

inline TestServer& minio() {
  static TestServer server("minio");
  return server;
}
inline TestServer& versitygw() {
  static TestServer server("versitygw");
  return server;
}

inline Environment environment_of(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

inline S3Options options_for(TestServer& server, std::string bucket, const std::string& secret_key = "") {
  S3Options options;
  options.endpoint = server["endpoint"];
  options.bucket = std::move(bucket);
  options.credentials.access_key.environment = "TEST_ACCESS_KEY";
  options.credentials.secret_key.environment = "TEST_SECRET_KEY";
  options.environment = environment_of({{"TEST_ACCESS_KEY", server["access_key"]},
                                        {"TEST_SECRET_KEY", secret_key.empty() ? server["secret_key"] : secret_key}});
  return options;
}

// A new bucket on a real server, and what another client would do to it.
class S3Bucket final : public BucketUnderTest {
 public:
  explicit S3Bucket(TestServer& server) : S3Bucket(server, next_name()) {}

  ObjectStore& store() override { return *store_; }

  // versitygw cannot write some keys in XML, so nobody can list them; a test of its own sees to these.
  bool put(const std::string& key, const std::string& content) override {
    if (is_versitygw_ && !is_listable(key)) return false;
    return put_any(key, content);
  }
  bool put_any(const std::string& key, const std::string& content) {
    S3Call call{.method = HttpMethod::put, .target = S3Target::object, .key = key, .body = content};
    call.intent.what = "put";
    return change(call).has_value();
  }
  void erase(const std::string& key) override {
    S3Call call{.method = HttpMethod::del, .target = S3Target::object, .key = key};
    call.intent.what = "erase";
    require(change(call), "erase");
  }
  void enable_versioning() {
    S3Call call{.method = HttpMethod::put};
    call.query = {{"versioning", ""}};
    call.body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    call.intent.what = "enable versioning";
    require(change(call), "versioning");
  }
  std::string list_versions() {
    S3Call call;
    call.query = {{"versions", ""}};
    call.intent.what = "list versions";
    return session_->read(std::move(call)).value().body;
  }

  const std::string& name() const { return name_; }
  S3Session& session() { return *session_; }
  Clock& clock() { return clock_; }

 private:
  S3Bucket(TestServer& server, std::string name)
      : name_(std::move(name)), is_versitygw_(server["kind"] == "versitygw"),
        session_(S3Session::open(options_for(server, name_), clock_).value()), store_(open_s3_store(options_for(server, name_), clock_).value()) {
    S3Call call{.method = HttpMethod::put};
    call.intent.what = "create the bucket";
    require(change(call), "create");
  }
  static std::string next_name() {
    static std::atomic<int> number{0};
    return format("contract-{}", ++number);
  }
  static bool is_listable(const std::string& key) {
    for (const char c : key) {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
    }
    std::string printable_only = key;
    std::erase_if(printable_only, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; });
    return xml_can_carry(printable_only);
  }
  static void require(const Result<HttpResponse>& result, const char* what) {
    if (!result) throw std::runtime_error(format("{}: {}", what, result.error().message));
  }
  // MinIO says that it is ready a moment before it is.
  Result<HttpResponse> change(const S3Call& call) {
    const OpenGate gate;
    for (int attempt = 1;; ++attempt) {
      auto answer = session_->change(call, gate);
      const auto wait = answer ? std::nullopt : session_->wait_before_change(answer.error(), attempt, operation_of(call));
      if (!wait) return answer;
      clock_.sleep_for(*wait, {});
    }
  }

  SystemClock clock_;
  std::string name_;
  bool is_versitygw_;
  std::unique_ptr<S3Session> session_;
  std::unique_ptr<ObjectStore> store_;
};

}  // namespace heimdall::testing
