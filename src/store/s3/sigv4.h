#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "net/http_client.h"
#include "store/s3/credentials.h"

namespace heimdall {

// What one signature is about. `path` and `query` are in the form in which they are sent: encoded by s3_encode().
struct SigningInput {
  HttpMethod method = HttpMethod::get;
  std::string host;  // with the port if the URL has one
  std::string path;  // begins with '/'
  std::vector<std::pair<std::string, std::string>> query;  // encoded names and values, in any order
  std::vector<HttpHeader> headers;  // to be signed beside host, x-amz-date, x-amz-content-sha256 and x-amz-security-token
  std::string payload_sha256;       // hexadecimal
  std::string region;
  std::string service = "s3";
};

// AWS Signature Version 4 (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html): the headers to
// add to the request, Authorization last. Pure.
std::vector<HttpHeader> sign(const SigningInput& input, const Credentials& credentials, Timestamp now);

// Percent-encodes as SigV4 wants it: all but A-Z a-z 0-9 - . _ ~, and '/' where it separates.
enum class Slash { keep, encode };
std::string s3_encode(std::string_view bytes, Slash slash);

}  // namespace heimdall
