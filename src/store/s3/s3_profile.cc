#include "store/s3/s3_profile.h"

namespace heimdall {

namespace {

constexpr std::uint64_t kEarlyBytes = std::uint64_t{16} << 20;

}  // namespace

std::optional<S3Server> parse_s3_server(std::string_view name) {
  if (name == "aws") return S3Server::aws;
  if (name == "minio") return S3Server::minio;
  if (name == "rgw") return S3Server::rgw;
  if (name == "generic") return S3Server::generic;
  return std::nullopt;
}

S3Server detect_s3_server(std::string_view server_header) {
  const auto names = [&](std::string_view name) { return server_header.find(name) != std::string_view::npos; };
  if (names("AmazonS3")) return S3Server::aws;
  if (names("MinIO")) return S3Server::minio;
  if (names("Ceph")) return S3Server::rgw;
  return S3Server::generic;
}

// How many requests begin with what each server is known to take; how many more do good is found out on the way.
S3Profile profile_of(S3Server server) {
  switch (server) {
    case S3Server::aws: return {true, false, 1000, {.first = 8, .most = 256, .worthwhile = 4000, .early_bytes = kEarlyBytes}};
    // Two requests saturate a small server. Behind a token it walks on to the end of the prefix, whether anybody follows or not, and writes down
    // what it finds.
    case S3Server::minio: return {false, true, 1000, {.first = 2, .most = 8, .worthwhile = 20'000, .early_bytes = kEarlyBytes}};
    // It sends up to 5000 keys a page.
    case S3Server::rgw: return {true, false, 5000, {.first = 4, .most = 32, .worthwhile = 20'000, .early_bytes = kEarlyBytes}};
    // Its tokens may not live as long as a read of the references takes.
    case S3Server::generic: return {false, false, 1000, {.first = 2, .most = 8, .worthwhile = 20'000}};
  }
  return {false, false, 1000, {}};
}

}  // namespace heimdall
