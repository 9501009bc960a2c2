#include "loopback/bucket.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "base/format.h"

namespace heimdall::loopback {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kXml = "Content-Type: application/xml\r\n";
constexpr std::string_view kReserved = ".heimdall-storage/";

std::string age_400_days(const char* form) {
  const std::time_t then = std::time(nullptr) - std::time_t{400} * 24 * 3600;
  std::tm utc{};
  gmtime_r(&then, &utc);
  std::array<char, 64> text;
  return {text.data(), std::strftime(text.data(), text.size(), form, &utc)};
}

Answer xml(std::string body) { return {.headers = std::string(kXml), .body = R"(<?xml version="1.0" encoding="UTF-8"?>)" "\n" + std::move(body)}; }

Answer problem(int status, std::string_view code, std::string_view message) {
  Answer answer = xml(format("<Error><Code>{}</Code><Message>{}</Message></Error>", code, message));
  answer.status = status;
  answer.headers += format("X-Minio-Error-Code: {}\r\n", code);  // what a HEAD has in place of the document
  return answer;
}

std::string etag_of(std::uint64_t i) {
  std::array<char, 32> digits;
  write_etag(i, digits.data());
  return {digits.data(), digits.size()};
}

std::string xml_unescaped(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, char>, 9> entities = {{{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'},
      {"&apos;", '\''}, {"&#34;", '"'}, {"&#39;", '\''}, {"&#xA;", '\n'}, {"&#xD;", '\r'}}};
  std::string out;
  while (!text.empty()) {
    const auto entity = std::find_if(entities.begin(), entities.end(), [&](const auto& known) { return text.starts_with(known.first); });
    out += entity == entities.end() ? text.front() : entity->second;
    text.remove_prefix(entity == entities.end() ? 1 : entity->first.size());
  }
  return out;
}

}  // namespace

Bucket::Bucket(std::string name, KeySpace keys, Pace pace)
    : name_(std::move(name)), keys_(std::move(keys)), pace_(pace), last_modified_(age_400_days("%Y-%m-%dT%H:%M:%S.000Z")),
      last_modified_http_(age_400_days("%a, %d %b %Y %H:%M:%S GMT")), deleted_(keys_.count()),
      pages_(keys_, deleted_, name_, last_modified_) {}

Answer Bucket::answer(const Request& request) {
  if (request.path == "/-/stats") return {.headers = "Content-Type: application/json\r\n", .body = stats_.to_json() + "\n"};
  if (request.path == "/-/reset") {
    stats_.reset();
    deleted_.clear();
    return {.status = 204};
  }
  if (is_too_fast()) {
    stats_.count(Kind::slowed_down);
    return problem(503, "SlowDown", "Please reduce your request rate.");
  }
  Answer answer = route(request);
  answer.delay += request.method == "POST" || request.method == "DELETE" ? pace_.delete_latency : pace_.latency;
  if (request.method == "HEAD") {
    answer.is_head = true;
    if (answer.status != 200) answer.stated_length = 0;
  }
  return answer;
}

Answer Bucket::route(const Request& request) {
  if (request.path.empty() || request.path == "/") {
    stats_.count(Kind::list_buckets);
    return xml(format("<ListAllMyBucketsResult><Owner><ID>loopback</ID></Owner><Buckets><Bucket><Name>{}</Name><CreationDate>{}</CreationDate></Bucket>"
                      "</Buckets></ListAllMyBucketsResult>", name_, last_modified_));
  }
  const std::string_view path = std::string_view(request.path).substr(1);
  const std::string_view bucket = path.substr(0, path.find('/'));
  if (bucket != name_) {
    stats_.count(Kind::other);
    return problem(404, "NoSuchBucket", "The specified bucket does not exist");
  }
  const std::string_view key = path.substr(std::min(bucket.size() + 1, path.size()));
  return key.empty() ? answer_bucket(request) : answer_object(request, key);
}

Answer Bucket::answer_bucket(const Request& request) {
  if (request.method == "HEAD") {
    stats_.count(Kind::head_bucket);
    return {};
  }
  if (request.method == "POST" && request.has("delete")) return remove_many(request);
  if (request.method == "GET" && request.value("list-type") == "2") return list(request);
  stats_.count(Kind::other);
  if (request.method != "GET") return problem(501, "NotImplemented", "This bucket is generated.");
  if (request.has("versioning")) return xml("<VersioningConfiguration/>");
  if (request.has("location")) return xml("<LocationConstraint/>");
  if (request.has("object-lock")) return problem(404, "ObjectLockConfigurationNotFoundError", "There is no object lock.");
  if (request.has("lifecycle")) return problem(404, "NoSuchLifecycleConfiguration", "There are no lifecycle rules.");
  return problem(501, "NotImplemented", "Only ListObjectsV2 is served.");
}

Answer Bucket::list(const Request& request) {
  stats_.count(Kind::list);
  PageQuery query{.prefix = std::string(request.value("prefix")),
                  .start_after = std::string(request.value("start-after")),
                  .token = std::string(request.value("continuation-token")),
                  .delimiter = std::string(request.value("delimiter")),
                  .is_url_encoded = request.value("encoding-type") == "url"};
  if (const auto most = request.value("max-keys"); !most.empty()) {
    const auto [end, error] = std::from_chars(most.data(), most.data() + most.size(), query.max_keys);
    if (error != std::errc() || end != most.data() + most.size()) return problem(400, "InvalidArgument", "max-keys is no number.");
  }
  Page page;
  if (!pages_.write(query, page)) return problem(400, "InvalidArgument", "The continuation token provided is incorrect");
  stats_.served(page.key_count);
  stats_.enter();
  Answer answer{.headers = std::string(kXml)};
  answer.body = std::move(page.head);
  answer.block = std::move(page.entries);
  answer.block_size = page.entries_size;
  answer.tail = std::move(page.tail);
  answer.delay = time_at_the_disk(page.key_count);
  answer.until_sent = std::shared_ptr<void>(nullptr, [this](void*) { stats_.leave(); });
  return answer;
}

Answer Bucket::remove_many(const Request& request) {
  stats_.count(Kind::multi_delete);
  const std::string_view body = request.body;
  const bool is_quiet = body.find("<Quiet>true</Quiet>") != std::string_view::npos;
  constexpr std::string_view open = "<Key>", close = "</Key>";
  std::string said;
  std::uint64_t removed = 0;
  for (std::size_t at = body.find(open); at != std::string_view::npos; at = body.find(open, at)) {
    at += open.size();
    const std::string_view text = body.substr(at, body.find(close, at) - at);
    const auto i = keys_.find(xml_unescaped(text));
    if (i && deleted_.add(*i)) ++removed;
    // S3 says so of keys that never were, too.
    if (!is_quiet) said.append("<Deleted><Key>").append(text).append("</Key></Deleted>");
  }
  stats_.deleted(removed);
  return xml("<DeleteResult>" + said + "</DeleteResult>");
}

Answer Bucket::answer_object(const Request& request, std::string_view key) {
  if (request.method == "HEAD" || request.method == "GET") return head_object(key);
  if (request.method == "DELETE") {
    stats_.count(Kind::single_delete);
    const auto i = keys_.find(key);
    if (i && deleted_.add(*i)) stats_.deleted(1);
    return {.status = 204};
  }
  stats_.count(Kind::put);
  if (request.method == "PUT" && key.starts_with(kReserved)) return {.headers = format("ETag: \"{}\"\r\n", etag_of(0))};
  return problem(501, "NotImplemented", "This bucket is generated.");
}

// A GET is answered for objects that are not there only.
Answer Bucket::head_object(std::string_view key) {
  stats_.count(Kind::head_object);
  const auto i = keys_.find(key);
  if (!i || deleted_.contains(*i)) return problem(404, "NoSuchKey", "The specified key does not exist.");
  Answer answer{.headers = format("ETag: \"{}\"\r\nLast-Modified: {}\r\nAccept-Ranges: bytes\r\n", etag_of(*i), last_modified_http_)};
  answer.stated_length = object_size(*i);
  answer.block_size = 0;
  return answer;
}

bool Bucket::is_too_fast() {
  if (pace_.max_requests_per_second == 0) return false;
  const std::scoped_lock lock(mutex_);
  const auto rate = static_cast<double>(pace_.max_requests_per_second);
  const auto now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - tokens_at_).count();
  tokens_ = std::min(std::max(1.0, rate / 10), tokens_ + seconds * rate);  // a tenth of a second's may come at once
  tokens_at_ = now;
  if (tokens_ < 1) return true;
  tokens_ -= 1;
  return false;
}

std::chrono::microseconds Bucket::time_at_the_disk(std::size_t key_count) {
  if (pace_.per_key == pace_.per_key.zero()) return pace_.per_key;
  const std::scoped_lock lock(mutex_);
  const auto now = Clock::now();
  disk_is_free_at_ = std::max(disk_is_free_at_, now) + pace_.per_key * static_cast<std::int64_t>(key_count);
  return std::chrono::duration_cast<std::chrono::microseconds>(disk_is_free_at_ - now);
}

}  // namespace heimdall::loopback
