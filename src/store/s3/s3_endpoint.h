#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace heimdall {

enum class S3Target { service, bucket, object, admin };

// Where a bucket is reached, and how requests name it.
class S3Endpoint {
 public:
  // `url` is "https://host[:port]". invalid_argument for anything else, for names that can be no bucket's, and for AWS directory buckets: these
  // list in no order (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
  // `path_style` unset: virtual-host style on amazonaws.com (but for names with dots, which its certificate does not cover), else path style.
  static Result<S3Endpoint> parse(const std::string& url, std::string bucket, std::optional<bool> path_style);

  const std::string& bucket() const { return bucket_; }
  // "host:port", the port always given.
  const std::string& authority() const { return authority_; }
  // Servers that are not AWS take "/a" for "a", and may not say so.
  bool is_aws() const { return is_aws_; }

  // What is sent: the value of Host, and the path in its encoded form.
  struct Address {
    std::string host;
    std::string path;
  };
  // `key` is that of an object, or the path of what the server offers beside the S3 API.
  Address address(S3Target target, std::string_view key) const;
  std::string url(const Address& address) const { return scheme_ + "://" + address.host + address.path; }

 private:
  std::string scheme_, host_, authority_, bucket_;  // host_ as in the header: without the scheme's own port
  bool is_aws_ = false;
  bool is_path_style_ = true;
};

}  // namespace heimdall
