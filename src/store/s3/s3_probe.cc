#include "store/s3/s3_probe.h"

#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "io/hmac.h"
#include "store/s3/list_page.h"
#include "store/s3/s3_listing.h"
#include "store/s3/s3_xml.h"

namespace heimdall {

namespace {

constexpr std::string_view kContent = "heimdall-storage looks whether this server honours If-Match on deletes";
const std::string kWrongEtag = "00000000000000000000000000000000";
constexpr std::size_t kMaxAnswerBytes = std::size_t{8} << 20;

constexpr std::string_view kProbePrefix = ".heimdall-storage/probe-";

std::string probe_key() { return format("{}{:016x}{:016x}", kProbePrefix, random_u64(), random_u64()); }

}  // namespace

S3Call delete_call(const S3Endpoint& endpoint, const std::string& key, const std::string& if_etag) {
  S3Call call{.method = HttpMethod::del, .target = S3Target::object, .key = key};
  if (!if_etag.empty()) call.headers.push_back({"If-Match", "\"" + if_etag + "\""});
  call.intent = {format("delete '{}' in bucket '{}'", printable(key), endpoint.bucket()), "s3:DeleteObject", "the objects"};
  return call;
}

S3Call multi_delete_call(const S3Endpoint& endpoint, std::span<const DeleteItem> items) {
  S3Call call{.method = HttpMethod::post};
  call.query = {{"delete", ""}};
  call.body = delete_request(items);
  const Md5Digest digest = md5(call.body);
  call.headers = {{"Content-MD5", to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()})},
                  {"Content-Type", "application/xml"}};
  call.intent = {format("delete {} in bucket '{}'", count_of(items.size(), "object"), endpoint.bucket()), "s3:DeleteObject", "the objects"};
  call.max_answer_bytes = kMaxAnswerBytes;
  return call;
}

StoreFacts::Versioning S3Probe::versioning() {
  S3Call call;
  call.query = {{"versioning", ""}};
  call.intent = {format("read the versioning of bucket '{}'", session_.endpoint().bucket()), "s3:GetBucketVersioning", "the bucket"};
  return session_.read_as<StoreFacts::Versioning>(call, parse_versioning).value_or(StoreFacts::Versioning::unknown);
}

Result<bool> S3Probe::may_delete() {
  S3Call bucket{.method = HttpMethod::head};
  bucket.intent = {format("reach bucket '{}'", session_.endpoint().bucket()), "s3:ListBucket", "the bucket"};
  TRY_ASSIGN(const HttpResponse found, session_.read(std::move(bucket)));
  // AWS would write a marker for a key that never was; MinIO does not.
  const bool leaves_nothing = found.header("Server") == "MinIO" || versioning() == StoreFacts::Versioning::off;
  if (!leaves_nothing) return false;
  const auto answer = session_.change(delete_call(session_.endpoint(), probe_key(), ""), gate_);
  if (answer || answer.error().code == ErrorCode::not_found) return true;
  return answer.error();
}

Result<std::string> S3Probe::put() {
  S3Call call{.method = HttpMethod::put, .target = S3Target::object, .key = key_, .body = std::string(kContent)};
  call.intent = {format("write '{}' in bucket '{}'", key_, session_.endpoint().bucket()), "s3:PutObject", "the objects"};
  TRY_ASSIGN(const HttpResponse answer, session_.change(std::move(call), gate_));
  note_version(answer);
  std::string_view etag = answer.header("ETag");
  if (etag.size() < 3 || etag.front() != '"' || etag.back() != '"') return Error{ErrorCode::corrupt, "a PUT was answered without an ETag"};
  return std::string(etag.substr(1, etag.size() - 2));
}

Result<HttpResponse> S3Probe::remove_single(const std::string& if_etag) {
  auto answer = session_.change(delete_call(session_.endpoint(), key_, if_etag), gate_);
  if (answer) note_version(*answer);
  return answer;
}

Result<bool> S3Probe::remove_multi(const std::string& if_etag) {
  const DeleteItem item{key_, if_etag};
  TRY_ASSIGN(const HttpResponse response, session_.change(multi_delete_call(session_.endpoint(), {&item, 1}), gate_));
  TRY_ASSIGN(const DeleteAnswer answer, parse_delete_result(response.body));
  if (answer.refused.empty() && answer.deleted == std::vector<std::string>{key_}) return true;
  if (answer.deleted.empty() && answer.refused.size() == 1 && answer.refused[0].problem.code == "PreconditionFailed") return false;
  return Error{ErrorCode::corrupt, "a multi-delete was answered in an unexpected way"};
}

bool S3Probe::honours_single() {
  const auto etag = put();
  if (!etag) {
    not_told_ = format("whether the server honours If-Match was not tried: {}", etag.error().message);
    return false;
  }
  const auto wrong = remove_single(kWrongEtag);
  if (wrong || wrong.error().code != ErrorCode::failed_precondition) return false;
  return remove_single(*etag).has_value();
}

bool S3Probe::honours_multi() {
  const auto etag = put();
  if (!etag) return false;
  const auto wrong = remove_multi(kWrongEtag);
  if (!wrong || *wrong) return false;
  const auto right = remove_multi(*etag);
  return right && *right;
}

S3Conditions S3Probe::find_conditions(Versions versions) {
  if (versions == Versions::leave_alone && versioning() != StoreFacts::Versioning::off) return {};
  remove_left_behind();
  key_ = probe_key();
  S3Conditions seen;
  seen.single = honours_single();
  if (seen.single) seen.multi = honours_multi();
  clean_up();
  return seen;
}

void S3Probe::note_version(const HttpResponse& answer) {
  if (const auto version = answer.header("x-amz-version-id"); !version.empty() && version != "null") versions_.emplace_back(version);
}

// As change(), but what the server says it did not do is tried again: nothing of ours may stay in a bucket.
Result<HttpResponse> S3Probe::remove_for_sure(const S3Call& call) {
  for (int attempt = 1;; ++attempt) {
    auto answer = session_.change(call, gate_);
    if (answer) return answer;
    const auto wait = session_.wait_before_change(answer.error(), attempt, operation_of(call));
    if (!wait) return answer;
    session_.clock().sleep_for(*wait, session_.stop());
  }
}

// Objects of probes that could not be removed in their time. Whoever probes holds the bucket, so no other probe is under way.
void S3Probe::remove_left_behind() {
  const std::string prefix(kProbePrefix);
  auto response = session_.read(list_call(session_.endpoint(), prefix, 1000));
  if (!response) return;
  ObjectPage page;
  if (!read_list_page(std::move(response->body), {.prefix = prefix}, page)) return;
  for (std::size_t i = 0; i < page.size(); ++i) {
    if (!remove_for_sure(delete_call(session_.endpoint(), std::string(page[i].key), ""))) return;
  }
}

void S3Probe::clean_up() {
  if (versions_.empty()) {
    // Whatever happened in between: deleting what is not there is no error.
    const auto gone = remove_for_sure(delete_call(session_.endpoint(), key_, ""));
    if (gone) note_version(*gone);
    else if (not_told_.empty()) not_told_ = gone.error().message;
    return;
  }
  for (const std::string& version : std::exchange(versions_, {})) {
    S3Call call = delete_call(session_.endpoint(), key_, "");
    call.query = {{"versionId", version}};
    call.intent.action = "s3:DeleteObjectVersion";
    if (auto gone = session_.change(std::move(call), gate_); !gone) not_told_ = format("'{}' stays as an old version: {}", key_, gone.error().message);
  }
}

}  // namespace heimdall
