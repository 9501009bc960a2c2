// Feeds any bytes to the mapping and checks what it promises of each of them.
// Input: one byte that chooses the rules, the row's bucket up to a newline (with bit 6 of that byte), the value.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/mapping.h"
#include "model/near_form.h"

using heimdall::CompanionTemplate;
using heimdall::KeyForm;
using heimdall::Mapped;
using heimdall::MappingRules;

namespace {

void check(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

MappingRules rules_of(unsigned choice) {
  MappingRules rules;
  rules.as = static_cast<KeyForm>((choice & 7U) % 5U);
  rules.bucket = "b";
  rules.aliases = {"old"};
  rules.other_buckets = {"other"};
  rules.ignore_buckets = {"ignored"};
  rules.base_urls = {"https://cdn.example.com/media/"};
  constexpr const char* kCompanions[] = {"{key}.x", "{dir}/{stem}_metadata.json", "y/{key}"};
  for (unsigned i = 0; i < 3; ++i) {
    if ((choice >> (3U + i)) & 1U) rules.companions.push_back(CompanionTemplate::parse(kCompanions[i]).value());
  }
  return rules;
}

bool holds(const Mapped& mapped, std::string_view key) {
  return mapped.primary == key || std::find(mapped.protecting.begin(), mapped.protecting.end(), key) != mapped.protecting.end();
}

void check_mapped(const Mapped& mapped, std::string_view value) {
  check((mapped.kind == Mapped::Kind::blank) == value.empty(), "only the empty value is blank");
  check((mapped.kind == Mapped::Kind::this_bucket) == !mapped.primary.empty(), "this bucket means a primary key");
  check((mapped.kind == Mapped::Kind::unmapped) == !mapped.why.empty(), "an unmapped value says why");
  check(mapped.kind != Mapped::Kind::unmapped || holds(mapped, value), "an unmapped value keeps its literal text");
  for (auto key = mapped.protecting.begin(); key != mapped.protecting.end(); ++key) {
    check(!key->empty() && *key != mapped.primary, "further meanings are further ones");
    check(std::find(mapped.protecting.begin(), key, *key) == key, "no meaning comes twice");
  }
}

void check_spellings(const MappingRules& rules, std::string_view key, std::string_view value) {
  const std::vector<std::string> spelled = spellings(rules, key);
  check(!is_invertible(rules) || std::find(spelled.begin(), spelled.end(), value) != spelled.end(), "the preimage is complete");
  Mapped read_back;
  for (const std::string& spelling : spelled) {
    map_reference(rules, {spelling, std::nullopt}, read_back);
    check(holds(read_back, key), "what is written is read back");
  }
}

// A page leaves the scheme of a URL to its reader; `find .` puts "./" before each name.
void check_automatic(MappingRules rules, std::string_view value) {
  rules.as = KeyForm::automatic;
  Mapped plain;
  map_reference(rules, {value, std::nullopt}, plain);
  Mapped other;
  if (value.starts_with("//")) {
    check(plain.kind == Mapped::Kind::this_bucket, "a URL without a scheme is never unmapped");
    map_reference(rules, {"https:" + std::string(value), std::nullopt}, other);
    if (other.kind == Mapped::Kind::this_bucket) {
      check(holds(plain, other.primary), "a URL means the same key without its scheme");
      for (const std::string& key : other.protecting) check(holds(plain, key), "a URL keeps the same keys without its scheme");
    }
  }
  if (plain.shape != heimdall::Shape::plain && plain.shape != heimdall::Shape::leading_slash) return;
  map_reference(rules, {"./" + std::string(value), std::nullopt}, other);
  check(value.find_first_not_of("./") == std::string_view::npos || other.primary == plain.primary, "\"./\" before a name changes no meaning");
  check(holds(other, "./" + std::string(value)), "\"./\" before a name may be meant");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = data[0];
  std::string_view value(reinterpret_cast<const char*>(data + 1), size - 1);
  std::optional<std::string_view> bucket;
  if ((choice & 0x40U) != 0) {
    const std::size_t end = std::min(value.find('\n'), value.size());
    bucket = value.substr(0, end);
    value.remove_prefix(std::min(end + 1, value.size()));
  }
  const MappingRules rules = rules_of(choice);
  Mapped mapped;
  map_reference(rules, {value, bucket}, mapped);
  check_mapped(mapped, value);

  std::vector<std::string> keys = mapped.protecting;
  if (!mapped.primary.empty()) keys.push_back(mapped.primary);
  for (const std::string& key : keys) check_spellings(rules, key, value);

  check_automatic(rules, value);

  std::string once;
  std::string twice;
  heimdall::near_form(value, once);
  heimdall::near_form(once, twice);
  check(once == twice, "the near form is idempotent");
  return 0;
}
