#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "net/http_client.h"
#include "store/s3/s3_endpoint.h"
#include "store/s3/s3_xml.h"

namespace heimdall {

// What a request was about, for people.
struct S3Intent {
  std::string what;           // behind "cannot ": "list bucket 'raw'"
  std::string_view action;    // what a policy must allow: "s3:ListBucket"
  std::string_view resource;  // "the bucket" or "its objects"
};

// Who asked whom.
struct S3Parties {
  const S3Endpoint& endpoint;
  std::string region;
  std::string who;  // "the keys of environment variables A and B"
};

// What an answer that is no success says: of its body, or of the headers with which MinIO answers HEAD.
S3Problem problem_of(const HttpResponse& response);

// An explicit "not now", by which the server says that it did nothing.
bool is_throttling(const HttpResponse& response, const S3Problem& problem);
bool is_throttling_code(std::string_view code);

// The error for an answer that is no success, as it is to be read by somebody who only asked:
//   not_found            the bucket (where it was asked for), or the object: S3 said so by its own code (an answer 404 alone proves nothing)
//   permission_denied    with what to grant
//   throttled            with Retry-After; unavailable for all else that may pass
//   failed_precondition  the bucket is gone, or in another region; not implemented; a condition failed
//   corrupt              the answer is not one of an S3 server
//   invalid_argument     the request itself is refused
Error s3_error(const HttpResponse& response, const S3Problem& problem, S3Target target, const S3Intent& intent, const S3Parties& parties);

}  // namespace heimdall
