#include "app/config/check.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {
namespace {

namespace fs = std::filesystem;

// Two entries that overlap in one physical bucket would each take the other's objects for orphans.
void check_stores(const Draft& draft, Places& places, Problems& problems) {
  const std::vector<StoreConfig>& stores = draft.config.stores;
  std::vector<const Place*> roots;
  for (const StoreConfig& store : stores) {
    roots.push_back(store.kind == StoreKind::directory && !store.directory.path.empty() ? &places.of(store.directory.path) : nullptr);
  }
  for (std::size_t i = 0; i < stores.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (roots[i] == nullptr || roots[j] == nullptr) continue;
      const bool inside = roots[i]->is_within(*roots[j]);
      const bool around = roots[j]->is_within(*roots[i]);
      if (!inside && !around) continue;
      const bool same = inside && around;
      problems.add(draft.stores[i],
                   format("the stores '{}' ({}) and '{}' ({}, line {}) {}: two stores must not reach the same files; use one store and "
                          "give its buckets disjoint prefixes",
                          printable(stores[i].name), printable(stores[i].directory.path.string()), printable(stores[j].name),
                          printable(stores[j].directory.path.string()), draft.stores[j].line,
                          same ? "are one directory" : "lie one inside the other"));
    }
  }
}

bool overlap(std::string_view a, std::string_view b) { return a.starts_with(b) || b.starts_with(a); }

// Invariant 8, within one directory store: each of its buckets is the whole tree, narrowed by prefixes.
void check_shared_store(const Draft& draft, std::size_t i, std::size_t j, Problems& problems) {
  const BucketPolicy& later = draft.config.buckets[i].policy;
  const BucketPolicy& earlier = draft.config.buckets[j].policy;
  for (std::size_t k = 0; k < later.prefixes.size(); ++k) {
    const auto other = std::ranges::find_if(earlier.prefixes, [&](const std::string& p) { return overlap(p, later.prefixes[k]); });
    if (other == earlier.prefixes.end()) continue;
    const auto& marked = draft.buckets[i].prefixes;
    const std::string_view shared = later.prefixes[k].size() > other->size() ? later.prefixes[k] : *other;
    problems.add(k < marked.size() ? marked[k].mark : draft.buckets[i].name,
                 format("the buckets '{}' and '{}' (line {}) both cover {} of the store '{}', so each would take the other's objects for "
                        "orphans; give them disjoint prefixes, or make them one bucket with the references of both",
                        printable(later.name), printable(earlier.name), draft.buckets[j].name.line,
                        shared.empty() ? std::string("all") : "'" + printable(shared) + "'", printable(draft.config.buckets[i].store)));
    return;
  }
}

void check_overlaps(const Draft& draft, Problems& problems) {
  for (std::size_t i = 0; i < draft.config.buckets.size(); ++i) {
    const StoreConfig* const store = draft.config.find_store(draft.config.buckets[i].store);
    if (store == nullptr || store->kind != StoreKind::directory) continue;
    for (std::size_t j = 0; j < i; ++j) {
      if (draft.config.buckets[j].store == store->name) check_shared_store(draft, i, j, problems);
    }
  }
}

// A name or alias that means two buckets would protect objects in one and not in the other.
void check_bucket_names(const Draft& draft, Problems& problems) {
  std::map<std::string, YamlMark> owners;
  const auto claim = [&](const std::string& name, YamlMark mark, std::string_view what) {
    const auto [owner, is_new] = owners.emplace(name, mark);
    if (!is_new) problems.add(mark, format("{} '{}' already names a bucket in line {}", what, printable(name), owner->second.line));
  };
  for (std::size_t i = 0; i < draft.buckets.size(); ++i) {
    if (const std::string& name = draft.config.buckets[i].policy.name; !name.empty()) claim(name, draft.buckets[i].name, "the name");
  }
  for (const BucketMarks& marks : draft.buckets) {
    for (const Marked<std::string>& alias : marks.aliases) claim(alias.value, alias.mark, "the alias");
  }
  for (const BucketMarks& marks : draft.buckets) {
    for (const Marked<std::string>& name : marks.ignored) {
      const auto owner = owners.find(name.value);
      if (owner == owners.end()) continue;
      problems.add(name.mark, format("'{}' names the bucket in line {}; what names a configured bucket is never ignored",
                                     printable(name.value), owner->second.line));
    }
  }
}

// The baseline knows a source by its name; and stdin can be read once.
void check_references(const Draft& draft, Problems& problems) {
  std::optional<YamlMark> stdin_mark;
  for (std::size_t i = 0; i < draft.buckets.size(); ++i) {
    const BucketConfig& bucket = draft.config.buckets[i];
    std::map<std::string, YamlMark> names;
    for (std::size_t k = 0; k < bucket.references.size(); ++k) {
      const YamlMark mark = draft.buckets[i].references[k];
      if (bucket.references[k].is_stdin() && stdin_mark) {
        problems.add(mark, format("line {} reads the list from stdin already, which can be done once", stdin_mark->line));
      } else if (bucket.references[k].is_stdin()) {
        stdin_mark = mark;
      } else if (const std::string& name = bucket.policy.sources[k].name; !name.empty()) {
        const auto [first, is_new] = names.emplace(name, mark);
        if (!is_new) problems.add(mark, format("the bucket has this reference already, in line {}", first->second.line));
      }
    }
  }
}

// Our own files among the objects would be deleted as orphans sooner or later.
void check_places(const Draft& draft, Places& places, Problems& problems) {
  const auto check = [&](const fs::path& path, std::string_view role, YamlMark mark) {
    if (path.empty()) return;
    if (const std::string why = why_misplaced(draft.config, path, role, places); !why.empty()) problems.add(mark, why);
  };
  check(draft.config.path, "this configuration file", YamlMark{});
  check(draft.config.state, "the state directory", draft.state);
  for (std::size_t i = 0; i < draft.config.databases.size(); ++i) {
    check(draft.config.databases[i].path, "the SQLite database", draft.databases[i]);
  }
  for (std::size_t i = 0; i < draft.buckets.size(); ++i) {
    for (std::size_t k = 0; k < draft.config.buckets[i].references.size(); ++k) {
      const ReferenceConfig& reference = draft.config.buckets[i].references[k];
      if (!reference.is_stdin()) check(reference.list, "the list of keys", draft.buckets[i].references[k]);
    }
  }
}

struct FeatureState {
  std::string_view name;
  enum class Status { implemented, planned } status;
};

// The one place that turns a feature of the schema on.
FeatureState state_of(Feature feature) {
  using enum FeatureState::Status;
  switch (feature) {
    case Feature::quarantine: return {"'mode: quarantine'", planned};
    case Feature::sqlite_recheck: return {"'recheck' for an SQLite database", planned};
    case Feature::schedules: return {"the section 'schedules'", implemented};
    case Feature::http: return {"the section 'http'", implemented};
    case Feature::events: return {"the section 'events'", planned};
  }
  return {"this", planned};
}

}  // namespace

void check_entries(const Draft& draft, Problems& problems) {
  Places places;
  check_stores(draft, places, problems);
  check_overlaps(draft, problems);
  check_bucket_names(draft, problems);
  check_references(draft, problems);
  check_places(draft, places, problems);
}

void refuse_unimplemented(const Draft& draft, Problems& problems) {
  for (const Marked<Feature>& use : draft.features) {
    const FeatureState state = state_of(use.value);
    if (state.status == FeatureState::Status::planned) problems.add(use.mark, format("{} is not implemented in this version", state.name));
  }
}

std::string why_misplaced(const Config& config, const fs::path& path, std::string_view role, Places& places) {
  const Place& place = places.of(path);
  for (const BucketConfig& bucket : config.buckets) {
    const StoreConfig* const store = config.find_store(bucket.store);
    if (store == nullptr || store->kind != StoreKind::directory || store->directory.path.empty()) continue;
    const Place& root = places.of(store->directory.path);
    if (!place.is_within(root)) continue;
    // A directory's objects begin with its key and '/', and so does what SQLite keeps beside a file; `overlap` covers both.
    const std::string key = place.path().lexically_relative(root.path()).generic_string() + "/";
    const auto covers = [&](const std::string& prefix) { return key == "./" || key.starts_with("..") || overlap(key, prefix); };
    if (std::ranges::none_of(bucket.policy.prefixes, covers)) continue;
    return format(
        "{} ({}) lies among the objects of the bucket '{}' and would be deleted as an orphan; move it out of {}, or narrow the "
        "bucket by prefixes",
        role, printable(path.string()), printable(bucket.policy.name), printable(store->directory.path.string()));
  }
  return {};
}

}  // namespace heimdall
