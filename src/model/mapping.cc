#include "model/mapping.h"

#include <algorithm>

#include "base/text.h"
#include "model/mapping_meanings.h"
#include "model/mapping_text.h"

namespace heimdall {

namespace {

using Kind = Mapped::Kind;
enum class Owner { here, other, ignored, unknown };

std::string quoted(std::string_view text) { return "'" + elide_middle(printable(text.substr(0, 200)), 60) + "'"; }

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// In `auto`, blanks around a URL do not make it a key.
std::string_view scheme_under(KeyForm as, std::string_view value) {
  if (as == KeyForm::key) return {};
  return scheme_of(as == KeyForm::automatic ? trimmed(value) : value);
}

Shape shape_of(KeyForm as, std::string_view value, std::string_view scheme) {
  if (value.empty()) return Shape::blank;
  if (is_http(scheme) || (as == KeyForm::url && value.starts_with("//"))) return Shape::url;
  if (!scheme.empty() && !is_s3(scheme)) return Shape::other;
  if (as == KeyForm::prefix) return Shape::prefix;
  if (!scheme.empty()) return Shape::uri;
  return value.front() == '/' ? Shape::leading_slash : Shape::plain;
}

// What stands behind the host of a virtual-host style URL of `bucket`; nullopt for another.
std::optional<std::string_view> behind_host(const UrlParts& url, std::string_view bucket) {
  if (bucket.empty() || url.host.size() <= bucket.size() || url.host[bucket.size()] != '.') return std::nullopt;
  if (!starts_with_ignoring_case(url.host, bucket)) return std::nullopt;
  return url.tail.starts_with('/') ? url.tail.substr(1) : std::string_view();
}

// The same for path style, "/bucket/key".
std::optional<std::string_view> behind_path(const UrlParts& url, std::string_view bucket) {
  if (bucket.empty() || !url.tail.starts_with('/') || !url.tail.substr(1).starts_with(bucket)) return std::nullopt;
  const std::string_view behind = url.tail.substr(1 + bucket.size());
  if (!behind.starts_with('/')) return std::nullopt;
  return behind.substr(1);
}

// The same for what a CDN or proxy serves below `base_url`, which ends at a delimiter with or without its own slash.
std::optional<std::string_view> behind_base(const UrlParts& url, std::string_view base_url) {
  if (!is_http(scheme_of(base_url))) return std::nullopt;
  const UrlParts base = split_url(base_url);
  // A URL without a scheme takes its reader's, and the port of that.
  if (!url.scheme.empty() && !equals_ignoring_case(base.scheme, url.scheme)) return std::nullopt;
  const std::string_view port = url.port.empty() ? default_port(base.scheme) : url.port;
  if (!equals_ignoring_case(base.host, url.host) || base.port != port) return std::nullopt;
  std::string_view folder = path_of(base.tail);
  while (folder.ends_with('/')) folder.remove_suffix(1);
  if (!url.tail.starts_with(folder)) return std::nullopt;
  const std::string_view behind = url.tail.substr(folder.size());
  if (path_of(behind).empty()) return std::string_view();
  if (!behind.starts_with('/')) return std::nullopt;
  return behind.substr(1);
}

// One call of map_reference().
class Reading {
 public:
  Reading(const MappingRules& rules, Mapped& out) : rules_(rules), out_(out), meanings_(out) { out_.why.clear(); }

  void read_row(const ReferenceRow& row);

 private:
  Owner owner_of(std::string_view bucket) const;
  Owner owner_of(const UrlParts& url) const;

  void read_value(std::string_view value, std::string_view scheme);
  void read_automatic(std::string_view value, std::string_view scheme);
  void read_plain(std::string_view value);
  void read_path_style(std::string_view value);
  void read_uri(std::string_view value);
  void read_url(std::string_view value);
  void read_relative_url(std::string_view value);
  bool add_url_readings(const UrlParts& url);
  void read_prefix(std::string_view value, std::string_view scheme);
  void end_as(Owner owner);
  void refuse(std::string why);

  template <class Visit>
  void for_each_name(Visit visit) const {
    visit(std::string_view(rules_.bucket));
    for (const std::string& alias : rules_.aliases) visit(std::string_view(alias));
  }

  const MappingRules& rules_;
  Mapped& out_;
  Meanings meanings_;
  bool row_names_here_ = false;
};

Owner Reading::owner_of(std::string_view bucket) const {
  if (bucket.empty()) return Owner::unknown;
  if (bucket == rules_.bucket || contains(rules_.aliases, bucket)) return Owner::here;
  if (contains(rules_.other_buckets, bucket)) return Owner::other;
  return contains(rules_.ignore_buckets, bucket) ? Owner::ignored : Owner::unknown;
}

// For URLs that do not mean this bucket.
Owner Reading::owner_of(const UrlParts& url) const {
  const auto named = [&](const std::string& bucket) { return behind_host(url, bucket) || behind_path(url, bucket); };
  if (std::any_of(rules_.other_buckets.begin(), rules_.other_buckets.end(), named)) return Owner::other;
  if (std::any_of(rules_.ignore_buckets.begin(), rules_.ignore_buckets.end(), named)) return Owner::ignored;
  return Owner::unknown;
}

void Reading::read_row(const ReferenceRow& row) {
  static const std::vector<CompanionTemplate> kNone;
  const std::string_view value = row.value;
  const std::string_view scheme = scheme_under(rules_.as, value);
  out_.kind = Kind::blank;
  out_.shape = shape_of(rules_.as, value, scheme);
  if (!value.empty()) {
    const bool names_its_own = is_s3(scheme) || is_http(scheme);
    const Owner owner = row.bucket ? owner_of(*row.bucket) : Owner::here;
    row_names_here_ = row.bucket && owner == Owner::here;
    if (names_its_own || owner == Owner::here || owner == Owner::unknown) {
      read_value(value, scheme);
    } else {
      end_as(owner);
    }
    if (owner == Owner::unknown && !names_its_own) {
      refuse(row.bucket->empty() ? "the row's bucket is empty" : "the row's bucket " + quoted(*row.bucket) + " is configured nowhere");
    }
    // The row names this bucket and its value another one: the literal key may be what was meant. An unmapped one always keeps it.
    const bool contradicts = row_names_here_ && out_.kind != Kind::this_bucket && rules_.as != KeyForm::uri;
    if (contradicts || out_.kind == Kind::unmapped) meanings_.add(value);
  }
  meanings_.finish(out_.kind, rules_.as == KeyForm::prefix ? kNone : rules_.companions);
}

void Reading::read_value(std::string_view value, std::string_view scheme) {
  out_.kind = Kind::this_bucket;
  switch (rules_.as) {
    case KeyForm::key:
      meanings_.add(value);
      if (value.front() == '/') meanings_.add(value.substr(1));
      return;
    case KeyForm::automatic: return read_automatic(value, scheme);
    case KeyForm::prefix: return read_prefix(value, scheme);
    case KeyForm::uri:
      if (is_s3(scheme)) return read_uri(value);
      // Keeps no more than its literal text, or the mapping could not be inverted.
      return refuse("it is not an s3:// URI");
    case KeyForm::url:
      if (is_http(scheme)) return read_url(value);
      if (value.starts_with("//")) {
        read_url(value);
        // A key may begin so, too.
        if (out_.kind == Kind::this_bucket || out_.kind == Kind::unmapped) read_plain(value);
        return;
      }
      read_automatic(value, scheme_under(KeyForm::automatic, value));
      return refuse("it is not an http(s) URL");
  }
}

void Reading::read_automatic(std::string_view value, std::string_view scheme) {
  const std::string_view text = trimmed(value);
  if (scheme.empty()) {
    read_plain(value);
    if (text.size() != value.size()) read_plain(text);
    return;
  }
  const std::string_view with_end = value.substr(static_cast<std::size_t>(text.data() - value.data()));
  const bool ends_blank = with_end.size() != text.size();
  if (is_s3(scheme)) {
    read_uri(with_end);
    if (ends_blank && out_.kind == Kind::this_bucket) read_uri(text);
  } else if (is_http(scheme)) {
    read_url(text);
    if (ends_blank && out_.kind == Kind::this_bucket) read_url(with_end);
  } else {
    meanings_.add_decoded(value);
    refuse("its scheme " + quoted(scheme) + " is not one of s3, http, https");
  }
}

void Reading::read_plain(std::string_view value) {
  if (value.empty()) return;
  if (const std::string_view behind = without_leading_dots(value); behind.size() != value.size()) {
    if (row_names_here_) meanings_.add(value);
    read_plain(behind);
  }
  if (value.front() == '/' && !row_names_here_) meanings_.add(value.substr(1));
  meanings_.add_decoded(value);
  read_path_style(value);
  if (const auto decoded = percent_decoded(value, Plus::literal)) read_path_style(*decoded);
  if (value.starts_with("//")) read_relative_url(value);
}

// "bucket/key" and "/bucket/key", a URL that lost its host.
void Reading::read_path_style(std::string_view value) {
  const std::string_view path = without_leading_slashes(value);
  for_each_name([&](std::string_view name) {
    const bool here = path.size() > name.size() && path[name.size()] == '/' && path.starts_with(name);
    if (here) meanings_.add_decoded(path.substr(name.size() + 1));
  });
}

void Reading::read_uri(std::string_view value) {
  const bool literal_only = rules_.as == KeyForm::uri || rules_.as == KeyForm::prefix;
  const std::string_view rest = value.substr(std::string_view("s3://").size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view bucket = rest.substr(0, slash);
  const std::string_view key = rest.substr(std::min(slash + 1, rest.size()));
  const Owner owner = owner_of(bucket);
  if (owner == Owner::other || owner == Owner::ignored) return end_as(owner);
  if (owner == Owner::here && !key.empty()) {
    if (rules_.as == KeyForm::prefix) return meanings_.add_folder(key);
    return literal_only ? meanings_.add(key) : meanings_.add_decoded(key);
  }
  if (!literal_only) meanings_.add_decoded(key);
  refuse(key.empty() ? "it names no key" : "its bucket " + quoted(bucket) + " is configured nowhere");
}

void Reading::read_url(std::string_view value) {
  const UrlParts url = split_url(value);
  if (add_url_readings(url)) {
    if (meanings_.empty()) refuse("it names no key");
    return;
  }
  if (const Owner owner = owner_of(url); owner != Owner::unknown) return end_as(owner);
  if (url.tail.starts_with('/')) meanings_.add_url_key(url.tail.substr(1));
  refuse("its host " + quoted(url.host) + " and path name no configured bucket, and no base_urls match");
}

// "//host/bucket/key", a URL that takes its reader's scheme, or a key with slashes too many: as a URL it only protects, and is never unmapped.
void Reading::read_relative_url(std::string_view value) {
  const UrlParts url = split_url(value);
  if (add_url_readings(url) || owner_of(url) != Owner::unknown) return;
  if (url.tail.starts_with('/')) meanings_.add_url_key(url.tail.substr(1));
}

// Whether the URL means this bucket; it may do so in several ways, each with a key of its own. What was configured by hand comes first.
bool Reading::add_url_readings(const UrlParts& url) {
  bool here = false;
  const auto add = [&](const std::optional<std::string_view>& behind) {
    if (!behind) return;
    here = true;
    meanings_.add_url_key(*behind);
  };
  for (const std::string& base_url : rules_.base_urls) add(behind_base(url, base_url));
  for_each_name([&](std::string_view name) { add(behind_host(url, name)); });
  for_each_name([&](std::string_view name) { add(behind_path(url, name)); });
  return here;
}

// A literal folder. Nothing that would protect the whole bucket is believed.
void Reading::read_prefix(std::string_view value, std::string_view scheme) {
  if (is_s3(scheme)) return read_uri(value);
  if (!scheme.empty() || without_leading_slashes(value).empty()) {
    return refuse(scheme.empty() ? "it would protect the whole bucket" : "a prefix is a folder or an s3:// URI");
  }
  const bool leading_slash = value.front() == '/';
  meanings_.add_folder(value.substr(leading_slash ? 1 : 0));
  if (leading_slash) meanings_.add(value.ends_with('/') ? value.substr(0, value.size() - 1) : value);
}

void Reading::end_as(Owner owner) {
  out_.kind = owner == Owner::other ? Kind::other_bucket : Kind::ignored;
  meanings_.forget();
}

void Reading::refuse(std::string why) {
  out_.kind = Kind::unmapped;
  out_.why = std::move(why);
}

}  // namespace

std::string_view to_string(Shape shape) {
  constexpr std::string_view kNames[] = {"blank", "plain", "leading_slash", "uri", "url", "prefix", "other"};
  return kNames[static_cast<std::size_t>(shape)];
}

void map_reference(const MappingRules& rules, const ReferenceRow& row, Mapped& out) { Reading(rules, out).read_row(row); }

}  // namespace heimdall
