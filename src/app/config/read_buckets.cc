#include <algorithm>

#include "app/config/draft.h"
#include "base/format.h"
#include "base/text.h"
#include "model/object.h"

namespace heimdall {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kMaxBatch = 1000;  // what one DeleteObjects request takes
constexpr std::uint64_t kMostPerSecond = 1'000'000;
constexpr milliseconds kShortestSafeAge = std::chrono::hours(1);

struct Defaults {
  BucketPolicy policy;
  YamlMark min_age;
};

enum class ModeName { report, remove, quarantine };

void read_mode(Section& section, Mode& mode, ReadContext& context) {
  const auto name =
      section.choice<ModeName>("mode", {{"report", ModeName::report}, {"delete", ModeName::remove}, {"quarantine", ModeName::quarantine}});
  if (!name) return;
  if (*name == ModeName::quarantine) context.draft.features.push_back({Feature::quarantine, section.mark_of("mode")});
  mode = *name == ModeName::remove ? Mode::remove : Mode::report;
}

// How hard a sweep may press its store. None of it decides what is deleted.
void read_pace(Section& section, BucketPolicy& policy) {
  const auto workers = section.choice<unsigned>(
      "delete_workers", {{"auto", 0}, {"1", 1}, {"2", 2}, {"3", 3}, {"4", 4}, {"5", 5}, {"6", 6}, {"7", 7}, {"8", 8}});
  if (workers) policy.delete_workers = *workers == 0 ? std::nullopt : workers;
  if (const auto rate = section.integer("max_rate", 1, kMostPerSecond)) policy.max_rate = *rate;
  if (const auto target = section.duration("latency_target")) {
    policy.latency_target = *target;
    if (target->count() == 0) section.problem("latency_target", "'latency_target' must be more than 0s; leave it out to have none");
  }
}

// What `defaults:` and each bucket have in common; absent keys leave `policy` as it is.
void read_ages_and_mode(Section& section, BucketPolicy& policy, ReadContext& context) {
  if (const auto min_age = section.duration("min_age")) policy.min_age = *min_age;
  if (const auto grace = section.duration("grace")) policy.grace = *grace;
  if (const auto size = section.integer("batch_size", 1, kMaxBatch)) policy.batch_size = *size;
  read_pace(section, policy);
  read_mode(section, policy.mode, context);
}

Defaults read_defaults(const YamlNode* node, ReadContext& context) {
  Defaults defaults;
  if (node == nullptr) return defaults;
  Section section(*node, "the section 'defaults'", context.problems);
  read_ages_and_mode(section, defaults.policy, context);
  defaults.min_age = section.mark_of("min_age");
  section.finish();
  return defaults;
}

void read_guards(const YamlNode* node, GuardLimits& guards, Problems& problems) {
  if (node == nullptr) return;
  Section section(*node, "the section 'guards'", problems);
  if (const auto ratio = section.ratio("max_orphan_ratio")) guards.max_orphan_ratio = *ratio;
  if (const auto ratio = section.ratio("min_match_rate")) guards.min_match_rate = *ratio;
  if (const auto ratio = section.ratio("max_references_fall")) guards.max_references_fall = *ratio;
  guards.max_deletes = section.integer("max_deletes", 0, UINT64_MAX);
  guards.max_bytes = section.size("max_bytes");
  if (const auto count = section.integer("max_unreferenced_class", 1, UINT64_MAX)) guards.max_unreferenced_class = *count;
  if (const auto count = section.integer("max_unmapped", 0, UINT64_MAX)) guards.max_unmapped = *count;
  if (const auto count = section.integer("max_near_misses", 0, UINT64_MAX)) guards.max_near_misses = *count;
  section.finish();
}

// A directory has no keys with such segments, so a prefix with one would silently cover nothing.
bool has_impossible_segment(std::string_view prefix) {
  while (!prefix.empty()) {
    const std::size_t slash = prefix.find('/');
    const std::string_view segment = prefix.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") return true;
    prefix.remove_prefix(std::min(slash, prefix.size() - 1) + 1);
  }
  return false;
}

std::string why_not_a_prefix(std::string_view prefix, StoreKind kind) {
  if (prefix.starts_with('/')) {
    prefix.remove_prefix(std::min(prefix.find_first_not_of('/'), prefix.size()));
    return prefix.empty() ? "'/' is no prefix; leave 'prefixes' out to cover the whole bucket"
                          : format("a prefix has no leading '/'; write '{}{}'", printable(prefix), prefix.ends_with('/') ? "" : "/");
  }
  if (!prefix.ends_with('/')) return format("a prefix ends with '/', or it would also cover '{0}-old/'; write '{0}/'", printable(prefix));
  if (is_reserved_key(prefix)) return format("'{}' is where this program keeps its own objects; it cannot be a prefix", printable(prefix));
  if (kind == StoreKind::directory && has_impossible_segment(prefix)) {
    return format("no file of a directory has a key below '{}'; leave out '//', './' and '../'", printable(prefix));
  }
  return {};
}

// Invariant 8: prefixes end at a delimiter, and no object is covered twice.
void read_prefixes(Section& section, StoreKind kind, BucketPolicy& policy, BucketMarks& marks, Problems& problems) {
  if (!section.has("prefixes")) return;
  std::vector<Marked<std::string>> prefixes = section.texts("prefixes");
  const YamlNode& node = *section.find("prefixes");
  if (node.kind == YamlNode::Kind::sequence && node.items.empty())
    section.problem("prefixes", "'prefixes' names nothing; leave the key out to cover the whole bucket");
  std::erase_if(prefixes, [&](const Marked<std::string>& prefix) {
    const std::string why = why_not_a_prefix(prefix.value, kind);
    if (!why.empty()) problems.add(prefix.mark, why);
    return !why.empty();
  });
  std::ranges::stable_sort(prefixes, {}, &Marked<std::string>::value);
  for (std::size_t i = 1, outer = 0; i < prefixes.size(); ++i) {
    if (!prefixes[i].value.starts_with(prefixes[outer].value)) {
      outer = i;
      continue;
    }
    problems.add(prefixes[i].mark, format("prefix '{}' {} '{}' (line {}); name only one of them", printable(prefixes[i].value),
                                          prefixes[i].value == prefixes[outer].value ? "repeats" : "lies inside",
                                          printable(prefixes[outer].value), prefixes[outer].mark.line));
  }
  policy.prefixes.clear();
  for (const Marked<std::string>& prefix : prefixes) policy.prefixes.push_back(prefix.value);
  marks.prefixes = std::move(prefixes);
}

// Why a pattern would protect nothing or not what its writer means.
std::string why_not_a_pattern(std::string_view pattern, StoreKind kind) {
  if (pattern.ends_with('/')) return format("'{0}' protects no object below it; write '{0}**'", printable(pattern));
  if (kind == StoreKind::directory && pattern.starts_with('/'))
    return "no key of a directory begins with '/'; write the pattern without it";
  if (pattern.find("://") != std::string_view::npos) return "a pattern is compared with keys, not with URLs; write it without the bucket";
  bool in_set = false;
  std::size_t set_begin = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      if (++i == pattern.size()) return "the '\\' at the end of the pattern escapes nothing";
    } else if (!in_set && pattern[i] == '[') {
      in_set = true;
      if (i + 1 < pattern.size() && (pattern[i + 1] == '!' || pattern[i + 1] == '^')) ++i;
      set_begin = i + 1;
    } else if (in_set && pattern[i] == ']' && i > set_begin) {
      in_set = false;
    }
  }
  return in_set ? "a '[' is not closed by ']'; write '\\[' for the character itself" : "";
}

void read_protect(Section& section, StoreKind kind, BucketPolicy& policy, Problems& problems) {
  for (Marked<std::string>& pattern : section.texts("protect")) {
    const std::string why = why_not_a_pattern(pattern.value, kind);
    if (!why.empty()) problems.add(pattern.mark, why);
    policy.protect.emplace_back(std::move(pattern.value));
  }
}

// Invariant 2: without references every object would be an orphan, so there is no such bucket.
void read_references(Section& section, BucketConfig& bucket, BucketMarks& marks, ReadContext& context) {
  const YamlNode* const node = section.find("references");
  if (node == nullptr) {
    context.problems.add(section.mark(), "a bucket needs the key 'references': without references every object would be an orphan");
  } else if (node->kind != YamlNode::Kind::sequence || node->items.empty()) {
    context.problems.add(node->mark,
                         "'references' must be a list of at least one reference: without references every object would be an orphan");
  } else {
    for (const YamlNode& item : node->items) read_reference(item, bucket, marks, context);
  }
}

StoreKind read_store_name(Section& section, BucketConfig& bucket, const ReadContext& context) {
  const auto name = section.required_text("store");
  if (!name) return StoreKind::directory;
  bucket.store = *name;
  if (const StoreConfig* const store = context.draft.config.find_store(*name)) return store->kind;
  std::vector<std::string> known;
  for (const StoreConfig& store : context.draft.config.stores) known.push_back(store.name);
  section.problem("store", format("there is no store '{}'{} (configured: {})", printable(*name), did_you_mean(*name, known),
                                  known.empty() ? "none" : comma_list(known)));
  return StoreKind::directory;
}

void read_aliases(Section& section, BucketMarks& marks, Problems& problems) {
  for (Marked<std::string>& alias : section.texts("aliases")) {
    if (check_name(alias.value, alias.mark, problems)) marks.aliases.push_back(std::move(alias));
  }
}

void check_min_age(Section& section, const BucketPolicy& policy, const Defaults& defaults, Problems& problems) {
  const bool allowed = section.boolean("allow_young").value_or(false);
  if (allowed || policy.min_age >= kShortestSafeAge) return;
  problems.add(section.has("min_age") ? section.mark_of("min_age") : defaults.min_age,
               format("'min_age: {}' for the bucket '{}' is under 1h and may take uploads whose row is not committed yet; "
                      "give at least 1h, or 'allow_young: true' in the bucket",
                      duration_text(policy.min_age), printable(policy.name)));
}

void read_bucket(const YamlNode& node, const Defaults& defaults, ReadContext& context) {
  Section section(node, "a bucket", context.problems);
  BucketConfig bucket;
  BucketMarks marks;
  bucket.policy = defaults.policy;
  section.require("name");
  marks.name = section.mark_of("name");
  if (const auto name = section.text("name"); name && check_name(*name, marks.name, context.problems)) bucket.policy.name = *name;
  const StoreKind kind = read_store_name(section, bucket, context);
  if (const auto description = section.text("description")) bucket.description = *description;
  read_ages_and_mode(section, bucket.policy, context);
  if (kind == StoreKind::directory && !bucket.store.empty() && bucket.policy.latency_target != defaults.policy.latency_target) {
    section.problem("latency_target", "'latency_target' is for buckets of a store of type s3: a directory has no requests to measure");
  }
  read_prefixes(section, kind, bucket.policy, marks, context.problems);
  read_aliases(section, marks, context.problems);
  check_min_age(section, bucket.policy, defaults, context.problems);
  read_guards(section.find("guards"), bucket.policy.guards, context.problems);
  read_references(section, bucket, marks, context);
  read_protect(section, kind, bucket.policy, context.problems);
  section.finish();
  context.draft.config.buckets.push_back(std::move(bucket));
  context.draft.buckets.push_back(std::move(marks));
}

}  // namespace

void read_buckets(const YamlNode* buckets, const YamlNode* defaults, ReadContext& context) {
  const Defaults common = read_defaults(defaults, context);
  if (buckets == nullptr) return;
  if (buckets->kind != YamlNode::Kind::sequence || buckets->items.empty()) {
    return context.problems.add(buckets->mark, "'buckets' must be a list of at least one bucket");
  }
  for (const YamlNode& item : buckets->items) read_bucket(item, common, context);
}

}  // namespace heimdall
