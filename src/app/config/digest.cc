#include "app/config/digest.h"

#include <string_view>

#include "base/format.h"
#include "base/text.h"
#include "io/sha256.h"

namespace heimdall {
namespace {

// Appends "name length:value\n"; the length keeps two values from being read as one other.
class CanonicalText {
 public:
  void add(std::string_view name, std::string_view value) { text_ += format("{} {}:{}\n", name, value.size(), value); }
  void add(std::string_view name, const std::vector<std::string>& values) {
    text_ += format("{} {} values\n", name, values.size());
    for (const std::string& value : values) add(name, value);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void add_store(CanonicalText& text, const StoreConfig& store) {
  if (store.kind == StoreKind::directory) {
    text.add("directory", store.directory.path.string());
    text.add("age", store.directory.age == DirectoryAge::change ? "change" : "mtime");
  } else {
    text.add("s3", store.s3.endpoint);
    text.add("region", store.s3.region);
  }
}

void add_database(CanonicalText& text, const DatabaseConfig& database) {
  text.add(database.kind == DatabaseKind::sqlite ? "sqlite" : "postgresql",
           database.kind == DatabaseKind::sqlite ? database.path.string() : database.url);
}

void add_mapping(CanonicalText& text, const MappingRules& rules) {
  text.add("as", std::to_string(static_cast<int>(rules.as)));
  text.add("aliases", rules.aliases);
  text.add("other_buckets", rules.other_buckets);
  text.add("ignore_buckets", rules.ignore_buckets);
  text.add("base_urls", rules.base_urls);
  for (const CompanionTemplate& companion : rules.companions) text.add("companion", companion.text());
}

void add_reference(CanonicalText& text, const Config& config, const ReferenceConfig& reference, const SourcePolicy& source) {
  text.add("source", source.name);
  if (const DatabaseConfig* const database = config.find_database(reference.database)) add_database(text, *database);
  text.add("query", reference.query);
  text.add("table", reference.table);
  text.add("column", reference.column);
  text.add("json", reference.json.value_or(""));
  text.add("recheck", reference.recheck.value_or(""));
  text.add("list", reference.list.string());
  text.add("line_end", reference.line_end == ReferenceConfig::LineEnd::null ? "null" : "newline");
  text.add("taken_at", reference.taken_at ? rfc3339_exact(*reference.taken_at) : "");
  add_mapping(text, source.mapping);
}

}  // namespace

std::string digest_of(const Config& config, const BucketConfig& bucket) {
  CanonicalText text;
  text.add("version", "1");
  if (const StoreConfig* const store = config.find_store(bucket.store)) add_store(text, *store);
  text.add("bucket", bucket.policy.name);
  text.add("prefixes", bucket.policy.prefixes);
  text.add("min_age", duration_text(bucket.policy.min_age));
  text.add("grace", duration_text(bucket.policy.grace));
  for (const Glob& pattern : bucket.policy.protect) text.add("protect", pattern.pattern());
  for (std::size_t i = 0; i < bucket.references.size(); ++i) {
    add_reference(text, config, bucket.references[i], bucket.policy.sources[i]);
  }
  return sha256_hex(text.text());
}

}  // namespace heimdall
