#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "ports/object_store.h"
#include "ports/store_traffic.h"
#include "store/s3/credentials.h"
#include "store/s3/s3_profile.h"

namespace heimdall {

struct S3Options {
  std::string endpoint;  // "https://host[:port]", without a path
  std::string region = "us-east-1";
  std::string bucket;
  std::optional<bool> path_style;  // unset: virtual-host style on amazonaws.com, else path style
  CredentialPlaces credentials;
  std::optional<CredentialPlaces> delete_credentials;  // what changes the bucket is signed with these
  Environment environment;                             // where the names in the places are looked up
  std::string ca_file;                                 // PEM; empty: AWS_CA_BUNDLE, else the system's
  std::chrono::milliseconds request_timeout = std::chrono::seconds(20);
  unsigned max_in_flight = 16;  // requests at one time, beside those of listings
  std::optional<S3Server> server;     // unset: found out
  std::optional<unsigned> in_flight;  // listings at one time; unset: as many as bring the most
  StoreTraffic* traffic = nullptr;    // told of each request, if there is one; must outlive the store
  std::string store_name;             // by which it is told
  // Once it is requested nothing is tried again, and what only reads is given up where its answer does not come at once: cancelled. What was sent to
  // change something is still waited for.
  std::stop_token stop = {};
};

// A bucket behind the S3 API, for planning: HEAD, GET and LIST only.
//
// Dates are whole seconds (HEAD tells no more). List pages count only as complete, well-formed ListBucketResults whose keys go up, stay
// under the prefix, and whose count is the one they state; a truncated page must bring a token and a key. Transient errors
// (5xx, 429, SlowDown and its kin, resets, half bodies) are tried again as RetryPolicy says.
Result<std::unique_ptr<ObjectReader>> open_s3_reader(S3Options options, Clock& clock);

// The same bucket with the power to delete. remove() compares each object by LIST or HEAD just before, unless inspect() did so a moment
// ago; sends If-Match where this server was seen to honour it; sends on a fresh connection, one attempt each; matches answers by
// key, and what has no answer is in doubt.
Result<std::unique_ptr<ObjectStore>> open_s3_store(S3Options options, Clock& clock);

}  // namespace heimdall
