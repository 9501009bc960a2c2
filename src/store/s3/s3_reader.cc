#include "store/s3/s3_reader.h"

#include "base/format.h"
#include "base/text.h"
#include "store/s3/http_date.h"
#include "store/s3/s3_capacity.h"
#include "store/s3/s3_cutter.h"
#include "store/s3/s3_inspect.h"
#include "store/s3/s3_listing.h"
#include "store/s3/s3_xml.h"

namespace heimdall {

namespace {

constexpr std::size_t kMaxBucketsBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxStorageInfoBytes = std::size_t{16} << 20;

// versitygw's POSIX backend tells when the bucket's directory last changed.
bool moves_creation_dates(std::string_view server) { return server.find("VERSITYGW") != std::string_view::npos; }

// One question about the bucket's configuration, as a sub-resource.
S3Call ask(const S3Endpoint& endpoint, const char* about, std::string what, std::string_view action) {
  S3Call call;
  call.query = {{about, ""}};
  call.intent = {format("{} of bucket '{}'", what, endpoint.bucket()), action, "the bucket"};
  return call;
}

}  // namespace

std::string S3Reader::name_here() const {
  return format("s3:{}@{}", session_->endpoint().bucket(), session_->endpoint().authority());
}

S3Call S3Reader::bucket_call() const {
  S3Call call{.method = HttpMethod::head};
  call.intent = {format("reach bucket '{}'", session_->endpoint().bucket()), "s3:ListBucket", "the bucket"};
  return call;
}

Result<HttpResponse> S3Reader::head_bucket() { return session_->read(bucket_call()); }

Result<std::string> S3Reader::identity() {
  TRY_ASSIGN(const HttpResponse found, head_bucket());
  if (moves_creation_dates(found.header("Server"))) return name_here();
  S3Call call{.target = S3Target::service};
  call.intent = {"list the buckets", "s3:ListAllMyBuckets", "all buckets, not only that"};
  call.max_answer_bytes = kMaxBucketsBytes;
  const std::string& bucket = session_->endpoint().bucket();
  const auto date = session_->read_as<std::optional<std::string>>(
      call, [&](const std::string& body) { return parse_creation_date(body, bucket); });
  if (date) return *date ? format("s3:{}@{}", bucket, **date) : name_here();
  // Who may not know falls back. Trouble that passes does not: the bucket must not change its name because of it.
  const ErrorCode code = date.error().code;
  const bool passes = code == ErrorCode::unavailable || code == ErrorCode::throttled || code == ErrorCode::internal || code == ErrorCode::cancelled;
  if (passes) return date.error();
  return name_here();
}

Result<Timestamp> S3Reader::server_time() {
  TRY_ASSIGN(const HttpResponse answer, head_bucket());
  if (const auto date = parse_http_date(answer.header("Date"))) return *date;
  return Error{ErrorCode::corrupt, format("the server at {} does not say what time it is: its answers have no Date",
                                          session_->endpoint().authority()),
               "ages of objects need the server's clock; look for a proxy that takes the header away"};
}

// What the configuration says, else what the server called itself.
std::optional<S3Server> S3Reader::known_server() {
  if (session_->options().server) return session_->options().server;
  if (session_->endpoint().is_aws()) return S3Server::aws;
  return *server_.lock();
}

Result<S3Profile> S3Reader::profile() {
  if (const auto known = known_server()) return profile_of(*known);
  TRY_ASSIGN(const HttpResponse found, head_bucket());
  const S3Server server = detect_s3_server(found.header("Server"));
  *server_.lock() = server;
  return profile_of(server);
}

Result<std::vector<ListRange>> S3Reader::split(const ListRange& range, const SplitHints& hints) {
  TRY_ASSIGN(const S3Profile here, profile());
  return S3Cutter(*session_, here, range, hints).cut();
}

Result<std::unique_ptr<Listing>> S3Reader::list(const ListRange& range) {
  TRY_ASSIGN(const S3Profile here, profile());
  return std::unique_ptr<Listing>(std::make_unique<S3Listing>(*session_, here, range));
}

ListingLimits S3Reader::listing_limits() {
  const auto here = profile();
  // One that cannot be asked will be told by the first request that counts.
  ListingLimits limits = here ? here->limits : ListingLimits{};
  if (const auto fixed = session_->options().in_flight) limits.first = limits.most = *fixed;
  return limits;
}

Result<ObjectMeta> S3Reader::head(const ObjectKey& key) { return std::move(S3Inspection(*session_).head({&key, 1}).front()); }

std::vector<Result<ObjectMeta>> S3Reader::inspect(std::span<const ObjectKey> keys) { return S3Inspection(*session_).inspect(keys); }

Result<void> S3Reader::ping(const std::stop_token& stop) {
  TRY(session_->ask_once(bucket_call(), stop));
  return {};
}

Result<std::optional<StoreCapacity>> S3Reader::capacity() {
  std::optional<S3Server> server = known_server();
  if (!server) {
    TRY_ASSIGN(const HttpResponse found, session_->ask_once(bucket_call(), {}));
    server = *server_.lock() = detect_s3_server(found.header("Server"));
  }
  if (server != S3Server::minio) return std::optional<StoreCapacity>();
  S3Call call{.target = S3Target::admin, .key = "/minio/admin/v3/storageinfo"};
  call.intent = {"read the capacity of the disks", "admin:StorageInfo", "the server"};
  call.max_answer_bytes = kMaxStorageInfoBytes;
  const auto answer = session_->ask_once(std::move(call), {});
  if (answer) return parse_storage_info(answer->body);
  // Most keys may not ask, and what stands before a server may not let it through.
  const ErrorCode code = answer.error().code;
  if (code == ErrorCode::unavailable || code == ErrorCode::throttled || code == ErrorCode::cancelled) return answer.error();
  return std::optional<StoreCapacity>();
}

Result<StoreFacts> S3Reader::facts() {
  StoreFacts facts;
  TRY_ASSIGN(const HttpResponse found, head_bucket());
  facts.server = found.header("Server");
  const S3Endpoint& endpoint = session_->endpoint();
  // Who may not ask, or whose server does not know, is told; trouble is an error.
  const auto settle = [&](const Error& error) -> Result<void> {
    const ErrorCode code = error.code;
    if (code != ErrorCode::permission_denied && code != ErrorCode::failed_precondition && code != ErrorCode::invalid_argument) return error;
    facts.not_told.push_back(error.message);
    return {};
  };

  facts.versioning = StoreFacts::Versioning::unknown;
  const auto versioning = session_->read_as<StoreFacts::Versioning>(
      ask(endpoint, "versioning", "read the versioning", "s3:GetBucketVersioning"), parse_versioning);
  if (versioning) facts.versioning = *versioning;
  else TRY(settle(versioning.error()));

  const auto lock = session_->read_as<bool>(
      ask(endpoint, "object-lock", "read the object lock", "s3:GetBucketObjectLockConfiguration"), parse_object_lock);
  if (lock) facts.object_lock = *lock;
  else if (lock.error().code != ErrorCode::not_found) TRY(settle(lock.error()));

  const auto rules = session_->read_as<std::size_t>(
      ask(endpoint, "lifecycle", "read the lifecycle rules", "s3:GetLifecycleConfiguration"), parse_expiry_rules);
  if (rules) facts.expiry_rules = *rules;
  else if (rules.error().code != ErrorCode::not_found) TRY(settle(rules.error()));
  return facts;
}

}  // namespace heimdall
