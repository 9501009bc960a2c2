#include "store/s3/s3_profile.h"

namespace heimdall {

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
    case S3Server::aws: return {true, 1000, {.first = 8, .most = 256, .worthwhile = 4000}};
    // Two requests saturate a small server; each range has a page that is not full, and a walk of its own on the disks.
    case S3Server::minio: return {false, 1000, {.first = 2, .most = 8, .worthwhile = 20'000}};
    // It sends up to 5000 keys a page.
    case S3Server::rgw: return {true, 5000, {.first = 4, .most = 32, .worthwhile = 20'000}};
    case S3Server::generic: return {false, 1000, {.first = 2, .most = 8, .worthwhile = 20'000}};
  }
  return {false, 1000, {}};
}

}  // namespace heimdall
