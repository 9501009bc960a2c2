#include "store/s3/s3_endpoint.h"

#include <gtest/gtest.h>

namespace heimdall {
namespace {

std::string object_url(const std::string& url, const std::string& bucket, std::optional<bool> path_style, const std::string& key) {
  const auto endpoint = S3Endpoint::parse(url, bucket, path_style);
  return endpoint ? endpoint->url(endpoint->address(S3Target::object, key)) : endpoint.error().message;
}

TEST(S3Endpoint, names_objects_in_the_path_or_in_the_host) {
  EXPECT_EQ(object_url("http://127.0.0.1:9000", "raw-iq", std::nullopt, "a b/c+d"), "http://127.0.0.1:9000/raw-iq/a%20b/c%2Bd");
  EXPECT_EQ(object_url("https://s3.eu-west-1.amazonaws.com", "raw-iq", std::nullopt, "k"), "https://raw-iq.s3.eu-west-1.amazonaws.com/k");
  EXPECT_EQ(object_url("https://s3.eu-west-1.amazonaws.com", "raw.iq", std::nullopt, "k"), "https://s3.eu-west-1.amazonaws.com/raw.iq/k");
  EXPECT_EQ(object_url("https://s3.eu-west-1.amazonaws.com", "raw-iq", true, "k"), "https://s3.eu-west-1.amazonaws.com/raw-iq/k");
  EXPECT_EQ(object_url("https://minio.example/", "raw-iq", false, "/k"), "https://raw-iq.minio.example//k");
  EXPECT_EQ(object_url("http://[::1]:9000", "raw-iq", std::nullopt, "k"), "http://[::1]:9000/raw-iq/k");
}

// The client leaves the scheme's own port out of Host, so the signature must not have it.
TEST(S3Endpoint, always_names_the_port_but_for_the_header) {
  const auto endpoint = S3Endpoint::parse("https://Minio.Example:443", "raw-iq", std::nullopt);
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->authority(), "minio.example:443");
  EXPECT_EQ(endpoint->address(S3Target::bucket, "").host, "minio.example");
  EXPECT_EQ(endpoint->address(S3Target::bucket, "").path, "/raw-iq");
  EXPECT_EQ(endpoint->address(S3Target::service, "").path, "/");
}

TEST(S3Endpoint, refuses_what_it_cannot_reach_or_list) {
  for (const char* url : {"", "minio:9000", "ftp://h", "http://", "http://h:0", "http://h:x", "http://h/path", "http://h?q", "http://u:p@h"}) {
    const auto endpoint = S3Endpoint::parse(url, "raw-iq", std::nullopt);
    ASSERT_FALSE(endpoint) << url;
    EXPECT_EQ(endpoint.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(endpoint.error().message.find("u:p"), std::string::npos);
  }
  for (const char* bucket : {"", "a", "../x", "a/b", "x y z", "fast--use1-az4--x-s3"}) {
    EXPECT_FALSE(S3Endpoint::parse("http://h", bucket, std::nullopt)) << bucket;
  }
}

}  // namespace
}  // namespace heimdall
