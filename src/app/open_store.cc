#include "app/open_store.h"

#include <utility>

#include "base/format.h"
#include "model/never_planned.h"
#include "store/fs/directory_store.h"
#include "store/s3/s3_store.h"

namespace heimdall {

namespace {

DirectoryOptions directory_options(const StoreConfig& store, const BucketPolicy& bucket) {
  // Of the policy what the question needs: the rest, with the names of all other buckets, is large.
  BucketPolicy kept;
  kept.prefixes = bucket.prefixes;
  kept.protect = bucket.protect;
  return {store.directory.path, store.directory.age == DirectoryAge::modification ? AgeFrom::mtime : AgeFrom::newest_change,
          [kept = std::move(kept)](std::string_view place) { return is_never_planned(kept, place); }};
}

S3Options s3_options(const StoreConfig& store, const std::string& bucket, StoreTraffic* traffic, std::stop_token stop) {
  const S3StoreConfig& s3 = store.s3;
  S3Options options;
  options.endpoint = s3.endpoint;
  options.region = s3.region;
  options.bucket = bucket;
  options.path_style = s3.path_style;
  options.credentials = {s3.access_key, s3.secret_key, s3.profile};
  if (s3.delete_access_key.is_set()) {
    options.delete_credentials = CredentialPlaces{s3.delete_access_key, s3.delete_secret_key, std::nullopt};
  }
  options.environment = process_environment();
  if (s3.ca_file) options.ca_file = s3.ca_file->string();
  options.request_timeout = s3.request_timeout;
  options.server = parse_s3_server(s3.server);
  options.in_flight = s3.in_flight;
  options.traffic = traffic;
  options.store_name = store.name;
  options.stop = std::move(stop);
  return options;
}

template <class T>
Result<T> named(Result<T> opened, const StoreConfig& store) {
  if (!opened) return with_context(std::move(opened).error(), format("store '{}'", store.name));
  return opened;
}

}  // namespace

Result<std::unique_ptr<ObjectReader>> open_reader(const StoreConfig& store, const BucketPolicy& bucket, Clock& clock, StoreTraffic* traffic, std::stop_token stop) {
  return named(store.kind == StoreKind::s3 ? open_s3_reader(s3_options(store, bucket.name, traffic, std::move(stop)), clock)
                                           : open_directory_reader(directory_options(store, bucket), clock), store);
}

Result<std::unique_ptr<ObjectStore>> open_store(const StoreConfig& store, const BucketPolicy& bucket, Clock& clock, StoreTraffic* traffic, std::stop_token stop) {
  return named(store.kind == StoreKind::s3 ? open_s3_store(s3_options(store, bucket.name, traffic, std::move(stop)), clock)
                                           : open_directory_store(directory_options(store, bucket), clock), store);
}

}  // namespace heimdall
