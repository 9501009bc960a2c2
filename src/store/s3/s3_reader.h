#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "ports/object_store.h"
#include "store/s3/s3_profile.h"
#include "store/s3/s3_session.h"

namespace heimdall {

// The half of an S3 bucket that cannot change anything.
//
// identity() is "s3:<bucket>@<creation date>", by ListBuckets with the keys for planning: the same through every endpoint. Where that is denied or does
// not have the bucket, and on servers whose creation date moves (versitygw tells when its directory last changed), it is "s3:<bucket>@<host>:<port>".
class S3Reader final : public ObjectReader {
 public:
  explicit S3Reader(std::unique_ptr<S3Session> session) : session_(std::move(session)) {}

  Result<std::string> identity() override;
  Result<Timestamp> server_time() override;
  Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) override;
  Result<std::unique_ptr<Listing>> list(const ListRange& range) override;
  ListingLimits listing_limits() override;
  Result<ObjectMeta> head(const ObjectKey& key) override;
  // By list pages where these find at least one key in three objects, else by HEADs in parallel. Presence in a list is believed, absence never.
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override;
  Result<StoreFacts> facts() override;
  Result<void> ping(const std::stop_token& stop) override;
  // Of MinIO, by the keys for planning; these must be allowed admin:StorageInfo.
  Result<std::optional<StoreCapacity>> capacity() override;
  StoreStrain strain() const override { return session_->strain(); }

  S3Session& session() const { return *session_; }
  // The name of the bucket at this endpoint, whatever else it is called.
  std::string name_here() const;

 private:
  S3Call bucket_call() const;
  Result<HttpResponse> head_bucket();
  std::optional<S3Server> known_server();
  Result<S3Profile> profile();

  std::unique_ptr<S3Session> session_;
  Guarded<std::optional<S3Server>> server_;  // once it is known
};

}  // namespace heimdall
