#pragma once

#include <optional>
#include <string_view>

#include "ports/object_store.h"

namespace heimdall {

// Whose code answers: it decides how a bucket is listed in parallel, and how many requests at one time do good.
enum class S3Server {
  aws,      // starts a list anywhere; takes hundreds of requests
  minio,    // loses keys behind some start-after's, and walks ahead behind a token: lists by prefix only, few at a time
  rgw,      // starts a list anywhere; each page asks every shard of the bucket's index
  generic,  // nothing is known: as minio
};

std::optional<S3Server> parse_s3_server(std::string_view name);
// By what it calls itself in the header Server.
S3Server detect_s3_server(std::string_view server_header);

struct S3Profile {
  bool starts_anywhere;  // whether start-after leads to all keys behind it
  bool pages_by_key;     // whether going on behind the last key costs the server less than following its token
  unsigned page_keys;    // asked for in one page; the server may send fewer
  ListingLimits limits;
};
S3Profile profile_of(S3Server server);

}  // namespace heimdall
