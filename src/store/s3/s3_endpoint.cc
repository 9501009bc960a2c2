#include "store/s3/s3_endpoint.h"

#include <algorithm>
#include <charconv>

#include "base/format.h"
#include "base/text.h"
#include "store/s3/sigv4.h"

namespace heimdall {

namespace {

struct HostPort {
  std::string_view host;
  std::string_view port;  // empty: the scheme's own
};

std::optional<HostPort> split_port(std::string_view authority) {
  const auto colon = authority.rfind(':');
  const bool is_ipv6_only = authority.ends_with(']');
  if (colon == std::string_view::npos || is_ipv6_only) return HostPort{authority, ""};
  const HostPort result{authority.substr(0, colon), authority.substr(colon + 1)};
  unsigned port = 0;
  const auto [end, error] = std::from_chars(result.port.data(), result.port.data() + result.port.size(), port);
  if (error != std::errc() || end != result.port.data() + result.port.size() || port == 0 || port > 65535) return std::nullopt;
  return result;
}

bool is_host(std::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '[' || c == ']' || c == ':';
  });
}

// Wider than AWS is today: older buckets and other servers have upper case and underscores.
bool is_bucket_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  };
  return name.size() >= 3 && name.size() <= 255 && std::all_of(name.begin(), name.end(), is_allowed) && name.front() != '.';
}

}  // namespace

Result<S3Endpoint> S3Endpoint::parse(const std::string& url, std::string bucket, std::optional<bool> path_style) {
  const auto refuse = [&](std::string_view why) {
    return Error{ErrorCode::invalid_argument, format("'{}' can be no endpoint: {}", printable(url), why),
                 "give it as \"https://host\" or \"http://host:port\""};
  };
  if (!is_bucket_name(bucket)) return Error{ErrorCode::invalid_argument, format("'{}' can be no name of a bucket", printable(bucket))};
  if (bucket.ends_with("--x-s3")) {
    return Error{ErrorCode::invalid_argument, format("'{}' is a directory bucket, which lists in no order", bucket),
                 "only general purpose buckets can be collected"};
  }
  std::string_view rest = url;
  S3Endpoint endpoint;
  endpoint.scheme_ = rest.starts_with("https://") ? "https" : "http";
  if (!rest.starts_with(endpoint.scheme_ + "://")) return refuse("it begins with neither http:// nor https://");
  rest.remove_prefix(endpoint.scheme_.size() + 3);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('@') != std::string_view::npos) {
    return Error{ErrorCode::invalid_argument, "an endpoint has no user name in it", "keys are given by access_key_env and secret_key_env"};
  }
  if (rest.find_first_of("/?#") != std::string_view::npos) return refuse("it has a path");
  std::string lower(rest);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto parts = split_port(lower);
  if (!parts) return refuse("its port is no number from 1 to 65535");
  if (!is_host(parts->host)) return refuse("it has no host name");

  const std::string_view own_port = endpoint.scheme_ == "https" ? "443" : "80";
  const std::string_view port = parts->port.empty() ? own_port : parts->port;
  endpoint.host_ = port == own_port ? std::string(parts->host) : format("{}:{}", parts->host, port);
  endpoint.authority_ = format("{}:{}", parts->host, port);
  endpoint.is_aws_ = parts->host.ends_with(".amazonaws.com") || parts->host.ends_with(".amazonaws.com.cn");
  endpoint.is_path_style_ = path_style.value_or(!endpoint.is_aws_ || bucket.find('.') != std::string::npos);
  endpoint.bucket_ = std::move(bucket);
  return endpoint;
}

S3Endpoint::Address S3Endpoint::address(S3Target target, std::string_view key) const {
  if (target == S3Target::service) return {host_, "/"};
  if (target == S3Target::admin) return {host_, std::string(key)};
  Address address = is_path_style_ ? Address{host_, "/" + bucket_} : Address{bucket_ + "." + host_, ""};
  if (target == S3Target::object) address.path += "/" + s3_encode(key, Slash::keep);
  if (address.path.empty()) address.path = "/";
  return address;
}

}  // namespace heimdall
