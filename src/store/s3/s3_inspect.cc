#include "store/s3/s3_inspect.h"

#include <algorithm>
#include <charconv>
#include <deque>

#include "base/format.h"
#include "base/text.h"
#include "store/s3/http_date.h"
#include "store/s3/list_page.h"
#include "store/s3/s3_listing.h"
#include "store/s3/s3_xml.h"

namespace heimdall {

namespace {

constexpr std::size_t kFewKeys = 20;      // are asked by HEAD at once
constexpr std::size_t kWorthwhile = 3;    // listed objects per key that was looked for
constexpr std::size_t kPageKeys = 1000;

Error missing(const ObjectKey& key, std::string_view why) {
  return {ErrorCode::not_found, format("there is no object '{}': {}", printable(key.bytes()), why)};
}

// Whether a file can have this name as it is: no segment is empty, "." or "..", but the last may be empty.
bool is_plain_path(std::string_view key) {
  for (;;) {
    const auto slash = key.find('/');
    const std::string_view segment = key.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") return false;
    if (slash == std::string_view::npos || slash + 1 == key.size()) return true;
    key.remove_prefix(slash + 1);
  }
}

bool is_minio_name(std::string_view server) { return server.find("MinIO") != std::string_view::npos; }

Result<ObjectMeta> parse_head(const ObjectKey& key, const HttpResponse& answer) {
  ObjectMeta object;
  object.key = key;
  const std::string_view length = answer.header("Content-Length");
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), object.size_bytes);
  if (length.empty() || error != std::errc() || end != length.data() + length.size()) {
    return Error{ErrorCode::corrupt, format("the server does not say how large '{}' is", printable(key.bytes()))};
  }
  object.last_modified = parse_http_date(answer.header("Last-Modified"));
  std::string_view etag = answer.header("ETag");
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  object.etag = etag;
  return object;
}

// The longest directory that all keys from `first` to `last` lie in.
std::string common_directory(std::string_view first, std::string_view last) {
  const auto differ = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  const std::string_view common = first.substr(0, static_cast<std::size_t>(differ - first.begin()));
  const auto slash = common.rfind('/');
  return std::string(slash == std::string_view::npos ? std::string_view() : common.substr(0, slash + 1));
}

}  // namespace

S3Call S3Inspection::head_call(const ObjectKey& key) const {
  S3Call call{.method = HttpMethod::head, .target = S3Target::object, .key = key.bytes()};
  call.intent = {format("look at '{}' in bucket '{}'", printable(key.bytes()), session_.endpoint().bucket()), "s3:GetObject and s3:ListBucket",
                 "the objects"};
  return call;
}

// Servers that keep objects as files may take "/a", "b//a" or "b/./a" for "a" and "b/a", and delete those in their place: MinIO (a leading slash) and
// versitygw do. So outside of AWS such a key counts only where the server lists it.
Result<bool> S3Inspection::is_kept_as_it_is(const std::string& key) {
  // Two keys are asked for: MinIO lists "/a" by looking "a" up where it is asked for one.
  auto response = session_.read(list_call(session_.endpoint(), key, 2));
  if (!response && response.error().code == ErrorCode::invalid_argument) {
    TRY_ASSIGN(const bool is_minio, server_is_minio());
    if (is_minio) return false;
  }
  if (!response) return std::move(response).error();
  const std::string_view server = response->header("Server");
  if (is_minio_name(server) || server.find("VERSITYGW") != std::string_view::npos) return false;
  ObjectPage page;
  TRY(read_list_page(std::move(response->body), {.prefix = key}, page));
  return !page.empty() && page[0].key == key;  // nothing under a prefix comes before it
}

Result<void> S3Inspection::check_key(const ObjectKey& key) {
  const std::string& bytes = key.bytes();
  if (bytes.empty()) return Error{ErrorCode::invalid_argument, "an object has no empty key"};
  if (is_reserved_key(bytes)) return missing(key, "the key is reserved");
  if (is_plain_path(bytes) || session_.endpoint().is_aws()) return {};
  TRY_ASSIGN(const bool is_kept, is_kept_as_it_is(bytes));
  return is_kept ? Result<void>() : Result<void>(missing(key, "the server keeps no key with such slashes and dots"));
}

Result<ObjectMeta> S3Inspection::read_head(const ObjectKey& key, S3Session::Pending pending) {
  auto answer = session_.finish(std::move(pending));
  if (answer) return parse_head(key, *answer);
  const Error& error = answer.error();
  if (error.code == ErrorCode::permission_denied && !is_utf8(key.bytes())) {
    // MinIO cannot check a signature over such a key. If it accepts our others, it is the key.
    TRY_ASSIGN(const bool is_minio, server_is_minio());
    if (is_minio) return missing(key, "the server takes UTF-8 only");
  }
  return error;
}

// By a request that it accepts.
Result<bool> S3Inspection::server_is_minio() {
  S3Call bucket{.method = HttpMethod::head};
  bucket.intent = {format("reach bucket '{}'", session_.endpoint().bucket()), "s3:ListBucket", "the bucket"};
  TRY_ASSIGN(const HttpResponse answer, session_.read(std::move(bucket)));
  return is_minio_name(answer.header("Server"));
}

std::vector<Result<ObjectMeta>> S3Inspection::head(std::span<const ObjectKey> keys) {
  struct Asked {
    Result<void> checked;
    std::optional<S3Session::Pending> pending = std::nullopt;
  };
  std::vector<Result<ObjectMeta>> result;
  result.reserve(keys.size());
  std::deque<Asked> asked;
  const std::size_t most = std::max(1U, session_.options().max_in_flight);
  const BootTime begun = session_.clock().boot_now();
  for (std::size_t next = 0; result.size() < keys.size();) {
    for (; next < keys.size() && asked.size() < most; ++next) {
      Asked one{check_key(keys[next])};
      if (one.checked) one.pending = session_.start(head_call(keys[next]));
      asked.push_back(std::move(one));
    }
    Asked one = std::move(asked.front());
    asked.pop_front();
    if (one.pending) result.push_back(read_head(keys[result.size()], *std::move(one.pending)));
    else result.emplace_back(std::move(one.checked).error());
    // Of the first one only it is known when it was answered.
    if (result.size() == 1 && result.front()) session_.note_latency(session_.clock().boot_now() - begun);
  }
  return result;
}

// Walks behind the first key (which is left to HEAD), each page from the last key of the one before, so that every page is as new as this call.
// A server that loses keys behind such a start, or fails, only makes more HEADs.
void S3Inspection::find_by_lists(std::span<const std::string> sorted, Found& found) {
  const std::string directory = common_directory(sorted.front(), sorted.back());
  std::string after = sorted.front();
  ObjectPage page;
  for (auto wanted = sorted.begin() + 1; wanted != sorted.end();) {
    const auto left = static_cast<std::size_t>(sorted.end() - wanted);
    S3Call call = list_call(session_.endpoint(), directory, std::min(kPageKeys, kWorthwhile * left));
    call.query.emplace_back("start-after", after);
    auto answer = session_.read(std::move(call));
    if (!answer) return;
    const auto head = read_list_page(std::move(answer->body), {.prefix = directory, .previous = after}, page);
    if (!head) return;
    std::size_t hits = 0;
    for (std::size_t i = 0; i < page.size(); ++i) {
      wanted = std::lower_bound(wanted, sorted.end(), page[i].key);
      if (wanted == sorted.end() || *wanted != page[i].key) continue;
      found.insert_or_assign(*wanted, page[i].to_meta());
      ++hits;
    }
    if (head->next_token.empty() || !head->last_key || hits * kWorthwhile < head->keys) return;
    after = *head->last_key;
    wanted = std::upper_bound(wanted, sorted.end(), after);
  }
}

std::vector<Result<ObjectMeta>> S3Inspection::inspect(std::span<const ObjectKey> keys) {
  if (keys.size() <= kFewKeys) return head(keys);
  std::vector<std::string> sorted;
  for (const ObjectKey& key : keys) {
    // Markers with such bytes are refused by some servers, and each of these keys needs its own look.
    if (xml_can_carry(key.bytes()) && !is_reserved_key(key.bytes()) && is_plain_path(key.bytes())) {
      sorted.push_back(key.bytes());
    }
  }
  std::sort(sorted.begin(), sorted.end());
  Found found;
  if (sorted.size() > kFewKeys) find_by_lists(sorted, found);

  std::vector<ObjectKey> rest;
  for (const ObjectKey& key : keys) {
    if (!found.contains(key.bytes())) rest.push_back(key);
  }
  std::vector<Result<ObjectMeta>> heads = head(rest);
  std::vector<Result<ObjectMeta>> result;
  result.reserve(keys.size());
  auto next_head = heads.begin();
  for (const ObjectKey& key : keys) {
    if (const auto seen = found.find(key.bytes()); seen != found.end()) result.emplace_back(seen->second);
    else result.push_back(std::move(*next_head++));
  }
  return result;
}

}  // namespace heimdall
