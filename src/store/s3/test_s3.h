#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/format.h"
#include "net/test_server.h"
#include "store/s3/s3_store.h"
#include "testing/fake_clock.h"

namespace heimdall::testing {

// A small S3 server with one bucket "box" that does what it should, until `interfere` answers in its place.
class TestS3 {
 public:
  struct Answer {
    int status = 200;
    std::string body = {};
    std::string headers = {};  // each ended by "\r\n"
  };
  enum class Break { reset };
  struct Interference {
    std::optional<Answer> answer = std::nullopt;
    std::optional<Break> broken = std::nullopt;
  };

  TestS3() : server_([this](TestConnection& connection) { serve(connection); }) {}

  // Called for each request, on the server's threads, one at a time; nullopt: it is served as usual.
  using Interfere = std::function<std::optional<Interference>(const TestRequest&)>;
  void interfere_with(Interfere interfere) {
    const std::scoped_lock lock(interfering_);
    interfere_ = std::move(interfere);
  }

  void put(const std::string& key, const std::string& etag = "e1", std::size_t size = 3) {
    const std::scoped_lock lock(mutex_);
    objects_[key] = {etag, size};
  }
  void erase(const std::string& key) {
    const std::scoped_lock lock(mutex_);
    objects_.erase(key);
  }
  bool has(const std::string& key) {
    const std::scoped_lock lock(mutex_);
    return objects_.contains(key);
  }
  // "GET /box?list-type=2...", as they came.
  std::vector<std::string> requests() {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }
  std::size_t count(std::string_view begin) {
    std::size_t n = 0;
    for (const std::string& request : requests()) n += request.starts_with(begin) ? 1 : 0;
    return n;
  }
  void set_page_size(std::size_t keys) { page_size_ = keys; }

  S3Options options() const {
    S3Options options;
    options.endpoint = format("http://127.0.0.1:{}", server_.port());
    options.bucket = "box";
    options.environment = [](const std::string& name) -> std::optional<std::string> {
      if (name == "AWS_ACCESS_KEY_ID") return "AKID";
      if (name == "AWS_SECRET_ACCESS_KEY") return "secret";
      return std::nullopt;
    };
    options.request_timeout = std::chrono::seconds(5);
    options.max_in_flight = 4;
    return options;
  }
  // 2026-11-23T00:14:16Z, as FakeClock begins.
  static constexpr const char* kDate = "Mon, 23 Nov 2026 00:14:16 GMT";
  static ObjectMeta meta(const std::string& key, const std::string& etag = "e1", std::size_t size = 3) {
    return {ObjectKey(key), size, Timestamp(std::chrono::seconds(1795341600)), etag, ""};
  }
  static Answer problem(int status, const std::string& code, const std::string& more = "") {
    return {status, format("<Error><Code>{}</Code><Message>as told</Message>{}</Error>", code, more)};
  }

 private:
  struct Object {
    std::string etag;
    std::size_t size = 0;
  };

  void serve(TestConnection& connection) {
    while (const auto request = connection.next()) {
      Interference done;
      {
        const std::scoped_lock lock(interfering_);
        note(*request);
        if (interfere_) done = interfere_(*request).value_or(Interference{});
      }
      if (done.broken) return connection.reset();
      const Answer answer = done.answer ? *done.answer : usual(*request);
      const bool bodiless = request->method == "HEAD" || answer.status == 204;
      const std::string length = answer.headers.find("Content-Length") == std::string::npos && answer.status != 204
                                     ? format("Content-Length: {}\r\n", answer.body.size()) : "";
      connection.write(format("HTTP/1.1 {} Said\r\nDate: {}\r\n{}{}\r\n{}", answer.status, kDate, answer.headers, length,
                              bodiless ? "" : answer.body));
    }
  }

  void note(const TestRequest& request) {
    const std::scoped_lock lock(mutex_);
    requests_.push_back(request.method + " " + request.target);
  }

  static std::string parameter(const std::string& target, const std::string& name) {
    const auto at = target.find(name + "=");
    if (at == std::string::npos) return "";
    const auto begin = at + name.size() + 1;
    return target.substr(begin, target.find('&', begin) - begin);
  }

  // Keys in tests need no encoding.
  Answer usual(const TestRequest& request) {
    const std::scoped_lock lock(mutex_);
    const std::string& target = request.target;
    if (target == "/") return {200, "<ListAllMyBucketsResult><Buckets><Bucket><Name>box</Name><CreationDate>2026-01-02T03:04:05Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"};
    if (request.method == "GET" && target.find("list-type=2") != std::string::npos) return list(target);
    if (target == "/box?versioning=") return {200, "<VersioningConfiguration/>"};
    if (request.method == "POST") return multi_delete(request.body);
    if (target == "/box") return {200};
    const std::string key = target.substr(5, target.find('?') - 5);
    if (request.method == "PUT") {
      objects_[key] = {"e-put", request.body.size()};
      return {200, "", "ETag: \"e-put\"\r\n"};
    }
    const auto found = objects_.find(key);
    if (request.method == "DELETE") {
      if (found != objects_.end()) objects_.erase(found);
      return {204};
    }
    if (found == objects_.end()) return problem(404, "NoSuchKey");
    return {200, "", format("ETag: \"{}\"\r\nLast-Modified: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: {}\r\n", found->second.etag,
                            request.method == "HEAD" ? found->second.size : 0)};
  }

  Answer list(const std::string& target) {
    std::string after = parameter(target, "continuation-token");
    if (after.empty()) after = parameter(target, "start-after");
    std::string prefix = parameter(target, "prefix");
    for (std::size_t at; (at = prefix.find("%2F")) != std::string::npos;) prefix.replace(at, 3, "/");
    for (std::size_t at; (at = after.find("%2F")) != std::string::npos;) after.replace(at, 3, "/");
    std::string body, last;
    std::size_t n = 0;
    bool truncated = false;
    for (const auto& [key, object] : objects_) {
      if (!key.starts_with(prefix) || key <= after) continue;
      if (n == page_size_) {
        truncated = true;
        break;
      }
      body += format("<Contents><Key>{}</Key><LastModified>2026-11-22T10:00:00.321Z</LastModified><ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
                     key, object.etag, object.size);
      last = key;
      ++n;
    }
    if (truncated) body += format("<NextContinuationToken>{}</NextContinuationToken>", last);
    return {200, format("<ListBucketResult><EncodingType>url</EncodingType><KeyCount>{}</KeyCount><IsTruncated>{}</IsTruncated>{}</ListBucketResult>", n,
                        truncated, body)};
  }

  Answer multi_delete(const std::string& body) {
    std::string said;
    for (std::size_t at = 0; (at = body.find("<Key>", at)) != std::string::npos;) {
      at += 5;
      const std::string key = body.substr(at, body.find("</Key>", at) - at);
      objects_.erase(key);
      said += format("<Deleted><Key>{}</Key></Deleted>", key);
    }
    return {200, "<DeleteResult>" + said + "</DeleteResult>"};
  }

  std::mutex mutex_, interfering_;
  Interfere interfere_;
  std::map<std::string, Object> objects_;
  std::vector<std::string> requests_;
  std::atomic<std::size_t> page_size_ = 1000;
  TestServer server_;
};

}  // namespace heimdall::testing
