#include "store/s3/sigv4.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "io/sha256.h"

namespace heimdall {
namespace {

// The examples of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
const Credentials kExample = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};

SigningInput example(HttpMethod method, std::string path) {
  return {.method = method,
          .host = "examplebucket.s3.amazonaws.com",
          .path = std::move(path),
          .query = {},
          .headers = {},
          .payload_sha256 = sha256_hex(""),
          .region = "us-east-1"};
}

std::vector<HttpHeader> signed_at(const SigningInput& input, const Credentials& credentials = kExample,
                                  std::string_view time = "2013-05-24T00:00:00Z") {
  return sign(input, credentials, *parse_rfc3339(time));
}

std::string authorization(const std::string& signed_headers, const std::string& signature) {
  return "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + signed_headers +
         ",Signature=" + signature;
}

TEST(SigV4Test, signs_get_object_as_documented) {
  SigningInput input = example(HttpMethod::get, "/test.txt");
  input.headers = {{"Range", "bytes=0-9"}};
  const auto headers = signed_at(input);
  ASSERT_EQ(headers.size(), 3u);
  EXPECT_EQ(headers[0].name + ":" + headers[0].value, "x-amz-date:20130524T000000Z");
  EXPECT_EQ(headers[1].name + ":" + headers[1].value,
            "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(headers[2].name, "Authorization");
  EXPECT_EQ(headers[2].value, authorization("host;range;x-amz-content-sha256;x-amz-date",
                                            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
}

TEST(SigV4Test, signs_put_object_as_documented) {
  SigningInput input = example(HttpMethod::put, "/" + s3_encode("test$file.text", Slash::keep));
  input.headers = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"Date", "Fri, 24 May 2013 00:00:00 GMT"}};
  input.payload_sha256 = sha256_hex("Welcome to Amazon S3.");
  EXPECT_EQ(signed_at(input).back().value, authorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                                                         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(SigV4Test, signs_get_bucket_lifecycle_as_documented) {
  SigningInput input = example(HttpMethod::get, "/");
  input.query = {{"lifecycle", ""}};
  EXPECT_EQ(signed_at(input).back().value, authorization("host;x-amz-content-sha256;x-amz-date",
                                                         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

TEST(SigV4Test, signs_list_objects_as_documented_in_any_order_of_the_query) {
  SigningInput input = example(HttpMethod::get, "/");
  for (const auto& query : {std::vector<std::pair<std::string, std::string>>{{"max-keys", "2"}, {"prefix", "J"}},
                            std::vector<std::pair<std::string, std::string>>{{"prefix", "J"}, {"max-keys", "2"}}}) {
    input.query = query;
    EXPECT_EQ(signed_at(input).back().value, authorization("host;x-amz-content-sha256;x-amz-date",
                                                           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
  }
}

// "get-vanilla" of the AWS SigV4 test suite.
TEST(SigV4Test, signs_for_other_services) {
  SigningInput input = example(HttpMethod::get, "/");
  input.host = "example.amazonaws.com";
  input.service = "service";
  const auto headers = signed_at(input, {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""}, "2015-08-30T12:36:00Z");
  EXPECT_EQ(headers.back().value,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,SignedHeaders=host;x-amz-date,"
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4Test, a_session_token_is_sent_and_signed) {
  Credentials temporary = kExample;
  temporary.session_token = "token";
  const auto headers = signed_at(example(HttpMethod::get, "/"), temporary);
  ASSERT_EQ(headers.size(), 4u);
  EXPECT_EQ(headers[2].name + ":" + headers[2].value, "x-amz-security-token:token");
  EXPECT_NE(headers[3].value.find(";x-amz-date;x-amz-security-token,"), std::string::npos) << headers[3].value;
}

TEST(SigV4Test, case_of_names_and_blanks_in_values_do_not_matter) {
  SigningInput plain = example(HttpMethod::get, "/"), odd = plain;
  plain.headers = {{"x-a", "b c"}};
  odd.headers = {{"X-A", "  b \t  c "}};
  EXPECT_EQ(signed_at(plain).back().value, signed_at(odd).back().value);
}

TEST(SigV4Test, each_part_of_the_input_changes_the_signature) {
  const SigningInput input = example(HttpMethod::get, "/a");
  std::vector<std::string> all = {signed_at(input).back().value, signed_at(input, kExample, "2013-05-24T00:00:01Z").back().value};
  const auto changed = [&](auto change) {
    SigningInput other = input;
    change(other);
    all.push_back(signed_at(other).back().value);
  };
  changed([](SigningInput& i) { i.method = HttpMethod::del; });
  changed([](SigningInput& i) { i.host += ":9000"; });
  changed([](SigningInput& i) { i.path = "/b"; });
  changed([](SigningInput& i) { i.query = {{"a", "b"}}; });
  changed([](SigningInput& i) { i.query = {{"a", "c"}}; });
  changed([](SigningInput& i) { i.headers = {{"if-match", "\"x\""}}; });
  changed([](SigningInput& i) { i.payload_sha256 = sha256_hex("x"); });
  changed([](SigningInput& i) { i.region = "eu-west-1"; });
  Credentials other_secret = kExample;
  other_secret.secret_key += "x";
  all.push_back(signed_at(input, other_secret).back().value);
  std::vector<std::string> signatures;
  for (const std::string& one : all) signatures.push_back(one.substr(one.find("Signature=")));
  std::sort(signatures.begin(), signatures.end());
  EXPECT_EQ(std::adjacent_find(signatures.begin(), signatures.end()), signatures.end());
}

TEST(SigV4Test, every_byte_is_encoded_as_the_rules_say) {
  const std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    char encoded[4];
    std::snprintf(encoded, sizeof encoded, "%%%02X", byte);
    const std::string expected = plain.find(one) != std::string_view::npos ? one : encoded;
    EXPECT_EQ(s3_encode(one, Slash::encode), expected);
    EXPECT_EQ(s3_encode(one, Slash::keep), one == "/" ? "/" : expected);
  }
  EXPECT_EQ(s3_encode("a/ü +%2F//..", Slash::keep), "a/%C3%BC%20%2B%252F//..");
  EXPECT_EQ(s3_encode("", Slash::keep), "");
}

}  // namespace
}  // namespace heimdall
