#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/reference.h"

namespace heimdall {

// `as:` of a reference: how a database value names a key.
enum class KeyForm {
  automatic,  // whatever it plausibly means; every meaning protects
  key,        // the key itself, with or without one leading slash
  uri,        // s3://bucket/key, literal after the bucket
  url,        // http(s)://... or //..., percent-decoded
  prefix,     // a folder: protects all below
};

// What a value looked like; the figures of doctor are counted by it.
enum class Shape { blank, plain, leading_slash, uri, url, prefix, other };
std::string_view to_string(Shape shape);

// A key derived from a referenced one, such as "{dir}/{stem}_metadata.json". Fields: {key} {dir} {name} {stem} {ext};
// {ext} is without its dot; the {dir} of a key without '/' takes the '/' after it with it. A name's first dot starts no extension.
class CompanionTemplate {
 public:
  // invalid_argument names the field that does not exist, or says that there is none.
  static Result<CompanionTemplate> parse(std::string_view text);

  std::string expand(std::string_view key) const;
  // As expand(), into a string that is reused.
  void expand_into(std::string_view key, std::string& out) const;
  // The one key whose companion is `companion`. nullopt if `companion` is not of this form.
  // Only for templates with an exact inverse: literal text and one {key}.
  std::optional<std::string> invert(std::string_view companion) const;
  bool has_exact_inverse() const;
  const std::string& text() const { return text_; }

 private:
  struct Part {
    enum class Field { literal, key, dir, name, stem, ext } field;
    std::string literal;
  };
  std::string text_;
  std::vector<Part> parts_;
};

// Everything the mapping of one reference source into one bucket depends on.
struct MappingRules {
  KeyForm as = KeyForm::automatic;
  std::string bucket;                       // the bucket's name in the store
  std::vector<std::string> aliases;         // further names that mean this bucket
  std::vector<std::string> other_buckets;   // names (and aliases) of the other configured buckets
  std::vector<std::string> ignore_buckets;  // names configured nowhere that are known and mean nothing
  std::vector<std::string> base_urls;       // what stands before the key in URLs of a CDN or proxy
  std::vector<CompanionTemplate> companions;
};

// What one value means. Reused from row to row, so that mapping does not allocate once warm.
struct Mapped {
  enum class Kind {
    blank,         // NULL or empty: means nothing
    this_bucket,   // `primary` is a key (or a prefix that ends in '/') of this bucket
    other_bucket,  // names another configured bucket
    ignored,       // names a bucket of `ignore_buckets`
    unmapped,      // cannot be read; `why` says so
  };
  Kind kind = Kind::blank;
  Shape shape = Shape::blank;
  std::string primary;                  // counts in the figures; empty unless this_bucket
  // Further meanings and all companions: they only protect. Distinct, never empty, never the primary one. An unmapped value
  // has some too, at least its literal text: unknown means keep.
  std::vector<std::string> protecting;
  std::string why;
};

// The mapping, one pure function: never throws, never fails, the same input always gives the same output.
// For KeyForm::prefix `primary` is normalised to end in '/', and `protecting` holds the value without it.
// A bucket of the row decides over a value that names none itself; s3:// and http(s):// values name theirs (not with `as: key`).
// Time is linear in the value. Thread-safe.
void map_reference(const MappingRules& rules, const ReferenceRow& row, Mapped& out);

// Whether spellings() finds every value that maps to a key: `as: key` or `uri`, and companions with an exact inverse.
bool is_invertible(const MappingRules& rules);
// Whether at least the companions can be: each tells the one key that it belongs to.
bool has_invertible_companions(const MappingRules& rules);

// Every value whose mapping (primary, protecting or companion) is `key`; complete when is_invertible(rules), for rows without a bucket
// and for rows whose bucket is this one. Otherwise the usual ones, each of which does map to `key`.
std::vector<std::string> spellings(const MappingRules& rules, std::string_view key);

}  // namespace heimdall
