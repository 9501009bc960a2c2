#include "store/s3/sigv4.h"

#include <algorithm>
#include <map>

#include "base/format.h"
#include "base/text.h"
#include "io/hmac.h"
#include "io/sha256.h"

namespace heimdall {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

std::string lower_case(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// Without blanks at its ends, and with one where it has several.
std::string canonical_value(std::string_view value) {
  std::string result;
  bool blank = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      blank = !result.empty();
      continue;
    }
    if (blank) result += ' ';
    blank = false;
    result += c;
  }
  return result;
}

// "20130524T000000Z".
std::string basic_time(Timestamp now) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(now - day));
  return format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), time.hours().count(), time.minutes().count(), time.seconds().count());
}

std::string canonical_query(std::vector<std::pair<std::string, std::string>> query) {
  std::sort(query.begin(), query.end());
  std::string text;
  for (const auto& [name, value] : query) text.append(text.empty() ? "" : "&").append(name).append("=").append(value);
  return text;
}

std::string signature_of(std::string_view text, const Credentials& credentials, std::string_view day, const SigningInput& input) {
  Sha256Digest key = hmac_sha256("AWS4" + credentials.secret_key, day);
  for (const std::string_view part : {std::string_view(input.region), std::string_view(input.service), std::string_view("aws4_request")}) {
    key = hmac_sha256(as_bytes(key), part);
  }
  return to_hex(hmac_sha256(as_bytes(key), text));
}

}  // namespace

std::string s3_encode(std::string_view bytes, Slash slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    if (is_unreserved(c) || (c == '/' && slash == Slash::keep)) {
      text += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text.append({'%', kDigits[byte >> 4U], kDigits[byte & 15U]});
    }
  }
  return text;
}

std::vector<HttpHeader> sign(const SigningInput& input, const Credentials& credentials, Timestamp now) {
  const std::string time = basic_time(now);
  const std::string day = time.substr(0, 8);
  const std::string scope = format("{}/{}/{}/aws4_request", day, input.region, input.service);

  std::vector<HttpHeader> added = {{"x-amz-date", time}};
  // Only S3 knows this one; other services take the payload's hash from the payload.
  if (input.service == "s3") added.push_back({"x-amz-content-sha256", input.payload_sha256});
  if (!credentials.session_token.empty()) added.push_back({"x-amz-security-token", credentials.session_token});

  std::map<std::string, std::string> signed_headers = {{"host", input.host}};
  const auto add = [&](const HttpHeader& header) {
    const auto [at, is_new] = signed_headers.try_emplace(lower_case(header.name), canonical_value(header.value));
    if (!is_new) at->second.append(",").append(canonical_value(header.value));
  };
  for (const HttpHeader& header : input.headers) add(header);
  for (const HttpHeader& header : added) add(header);

  std::string names, lines;
  for (const auto& [name, value] : signed_headers) {
    names.append(names.empty() ? "" : ";").append(name);
    lines.append(name).append(":").append(value).append("\n");
  }
  const std::string request = format("{}\n{}\n{}\n{}\n{}\n{}", to_string(input.method), input.path, canonical_query(input.query), lines,
                                     names, input.payload_sha256);
  const std::string text = format("{}\n{}\n{}\n{}", kAlgorithm, time, scope, sha256_hex(request));
  added.push_back({"Authorization", format("{} Credential={}/{},SignedHeaders={},Signature={}", kAlgorithm, credentials.access_key, scope,
                                           names, signature_of(text, credentials, day, input))});
  return added;
}

}  // namespace heimdall
