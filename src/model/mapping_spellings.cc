#include <algorithm>

#include "model/mapping.h"
#include "model/mapping_text.h"

namespace heimdall {

namespace {

void add_uris(const MappingRules& rules, std::string_view key, std::vector<std::string>& out) {
  const auto add = [&](const std::string& name) {
    for (const char* scheme : {"s3://", "S3://"}) out.push_back(scheme + name + "/" + std::string(key));
  };
  add(rules.bucket);
  for (const std::string& alias : rules.aliases) add(alias);
}

void add_urls(const MappingRules& rules, std::string_view key, std::vector<std::string>& out) {
  const std::string path = "/" + percent_encoded(key);
  const auto add = [&](const std::string& name) {
    out.push_back("https://s3.example.com/" + name + path);
    out.push_back("https://" + name + ".s3.example.com" + path);
  };
  add(rules.bucket);
  for (const std::string& alias : rules.aliases) add(alias);
  for (const std::string& base_url : rules.base_urls) {
    out.push_back(base_url.substr(0, base_url.find_last_not_of('/') + 1) + path);
  }
}

// What may mean `key` itself, not as a companion.
void add_direct(const MappingRules& rules, std::string_view key, std::vector<std::string>& out) {
  if (key.empty()) return;
  out.emplace_back(key);  // also what is not an URI keeps its literal text
  if (rules.as != KeyForm::uri) out.push_back("/" + std::string(key));
  if (rules.as != KeyForm::key) add_uris(rules, key, out);
  if (rules.as == KeyForm::automatic || rules.as == KeyForm::url) add_urls(rules, key, out);
}

bool maps_to(const MappingRules& rules, std::string_view value, std::string_view key, Mapped& scratch) {
  map_reference(rules, {value, std::nullopt}, scratch);
  return scratch.primary == key || std::find(scratch.protecting.begin(), scratch.protecting.end(), key) != scratch.protecting.end();
}

}  // namespace

bool has_invertible_companions(const MappingRules& rules) {
  return std::all_of(rules.companions.begin(), rules.companions.end(), [](const auto& c) { return c.has_exact_inverse(); });
}

bool is_invertible(const MappingRules& rules) {
  return (rules.as == KeyForm::key || rules.as == KeyForm::uri) && has_invertible_companions(rules);
}

std::vector<std::string> spellings(const MappingRules& rules, std::string_view key) {
  std::vector<std::string> candidates;
  if (key.empty()) return candidates;
  add_direct(rules, key, candidates);
  for (const CompanionTemplate& companion : rules.companions) {
    if (const auto of_key = companion.invert(key)) add_direct(rules, *of_key, candidates);
  }
  // The mapping has the last word: "s3://elsewhere/x" as a key is spelled by itself only where that is read literally.
  std::vector<std::string> found;
  Mapped scratch;
  for (std::string& candidate : candidates) {
    if (std::find(found.begin(), found.end(), candidate) != found.end()) continue;
    if (maps_to(rules, candidate, key, scratch)) found.push_back(std::move(candidate));
  }
  return found;
}

}  // namespace heimdall
