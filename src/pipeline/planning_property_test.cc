// Random buckets against sets: what planning must never take, and what must not matter to it.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "model/near_form.h"
#include "pipeline/explain.h"
#include "pipeline/test_support.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::candidates_of;
using testing::Days;
using testing::FakeRow;
using testing::orphans_of;
using testing::plan_of;
using testing::TestBucket;
using Keys = std::set<std::string>;

// Few names, so that rows and objects meet: plain ones, near misses of each other, markers, companions and keys that look encoded.
std::string any_key() {
  return *rc::gen::element<std::string>("a/1.npy", "A/1.npy", "a//1.npy", "a/1.npy ", "a/1_meta.json", "a/", "a/b/", "a/b/2", "a/b/3",
                                        "keep/x", "keep/y", "b/%20", "b/ ", "b/caf\xc3\xa9", "b/cafe\xcc\x81", "c/1", "c/2", "d", "e\xff",
                                        "b/2520", "b/%2520", "zz/1");
}

// A value that means `key` under some form.
std::string spelled(const std::string& key, KeyForm as) {
  if (as == KeyForm::prefix) return key.substr(0, key.find('/') + 1);
  if (as == KeyForm::uri) return "s3://raw/" + key;
  if (as == KeyForm::key) return key;
  switch (*rc::gen::inRange(0, 3)) {
    case 0: return "s3://raw/" + key;
    case 1: return "/" + key;
    default: return key;
  }
}

// The names that a set of rows keeps: the model of the snapshot, by the mapping alone.
struct Model {
  Keys kept;      // referenced, companions and further meanings included
  Keys folders;   // everything below is referenced
  Keys primary;
  bool references(const std::string& key) const {
    return kept.contains(key) || std::ranges::any_of(folders, [&](const auto& f) { return key.starts_with(f); });
  }
};

Model model_of(const TestBucket& bucket) {
  Model model;
  Mapped mapped;
  for (std::size_t i = 0; i < bucket.sources.size(); ++i) {
    const MappingRules& rules = bucket.policy.sources[i].mapping;
    for (const FakeRow& row : const_cast<TestBucket&>(bucket).sources[i].data().rows) {
      map_reference(rules, {row.value, std::nullopt}, mapped);
      model.kept.insert(mapped.protecting.begin(), mapped.protecting.end());
      if (mapped.kind != Mapped::Kind::this_bucket) continue;
      if (rules.as == KeyForm::prefix) {
        model.folders.insert(mapped.primary);
      } else {
        model.kept.insert(mapped.primary);
        model.primary.insert(mapped.primary);
      }
    }
  }
  return model;
}

std::string near(const std::string& key) {
  std::string form;
  near_form(key, form);
  return form;
}

// Objects of random ages, of which an earlier scan may have seen some; sources of random forms and rows.
void fill(TestBucket& bucket) {
  bucket.policy.protect = {Glob("keep/*x")};
  bucket.policy.grace = *rc::gen::element(std::chrono::milliseconds(0), std::chrono::milliseconds(72h));
  bucket.policy.min_age = *rc::gen::element(std::chrono::milliseconds(0), std::chrono::milliseconds(30 * 24h));
  for (int n = *rc::gen::inRange(1, 4); n > 0; --n) {
    const KeyForm as = *rc::gen::weightedElement<KeyForm>(
        {{4, KeyForm::automatic}, {3, KeyForm::key}, {2, KeyForm::uri}, {1, KeyForm::prefix}});
    std::vector<std::string> values;
    for (int rows = *rc::gen::inRange(0, 6); rows > 0; --rows) values.push_back(spelled(any_key(), as));
    bucket.add_source(values, as);
    if (as == KeyForm::key && *rc::gen::arbitrary<bool>()) {
      bucket.policy.sources.back().mapping.companions = {*CompanionTemplate::parse("{dir}/{stem}_meta.json")};
    }
    if (*rc::gen::inRange(0, 5) == 0) bucket.sources.back().data().as_of = bucket.clock.now() - Days(35);
  }
  const auto put_some = [&] {
    for (int n = *rc::gen::inRange(0, 15); n > 0; --n) {
      const std::string key = any_key();
      const auto size = static_cast<std::uint64_t>(*rc::gen::inRange(0, 3));
      const int age = *rc::gen::inRange(-1, 60);
      if (age == 59) bucket.store.put_at(key, size, std::nullopt);
      else bucket.store.put_at(key, size, bucket.clock.now() - Days(age));
    }
  };
  put_some();
  if (*rc::gen::arbitrary<bool>()) {
    const auto findings = bucket.scan();
    RC_ASSERT(findings.has_value());
    bucket.keep_ledger(*findings);
    bucket.clock.advance(Days(*rc::gen::inRange(0, 6)));
    put_some();
  }
  bucket.store.put_at(".heimdall-storage/probe", 1, bucket.clock.now() - Days(90));
  bucket.store.set_page_size(static_cast<std::size_t>(*rc::gen::inRange(1, 10)));
  if (*rc::gen::inRange(0, 3) == 0) bucket.policy.prefixes = {"a/", "b/", "keep/"};
}

Keys planned(TestBucket& bucket, const Selection& selection = {}) {
  const auto findings = bucket.scan();
  RC_ASSERT(findings.has_value());
  const auto plan = plan_of(bucket, *findings, selection);
  RC_ASSERT(plan.has_value());
  const auto keys = candidates_of(*plan);
  RC_ASSERT(std::is_sorted(keys.begin(), keys.end()));
  return {keys.begin(), keys.end()};
}

bool is_inside(const TestBucket& bucket, const std::string& key) {
  return std::ranges::any_of(bucket.policy.prefixes, [&](const auto& prefix) { return key.starts_with(prefix); });
}

// Invariants 1, 3, 4 and 8, also when grace is ignored.
RC_GTEST_PROP(Planning, never_takes_a_referenced_young_protected_or_unlisted_object, ()) {
  TestBucket bucket;
  fill(bucket);
  const Model model = model_of(bucket);
  const Timestamp now = bucket.clock.now();
  const auto existing_keys = bucket.store.keys();
  const Keys existing(existing_keys.begin(), existing_keys.end());
  const Selection::Grace grace = *rc::gen::element(Selection::Grace::respect, Selection::Grace::ignore);
  for (const std::string& key : planned(bucket, {grace, std::nullopt})) {
    RC_ASSERT(existing.contains(key));
    RC_ASSERT(is_inside(bucket, key));
    RC_ASSERT(!is_reserved_key(key));
    RC_ASSERT(!model.references(key));
    RC_ASSERT(key != "keep/x");
    const auto object = bucket.store.head(ObjectKey(key));
    RC_ASSERT(object->last_modified.has_value());
    RC_ASSERT(*object->last_modified <= now - bucket.policy.min_age);
    RC_ASSERT(!is_folder_marker(key, object->size_bytes));
    for (auto& source : bucket.sources) {
      if (source.data().as_of) RC_ASSERT(*object->last_modified <= *source.data().as_of);
    }
    for (const std::string& reference : model.primary) {
      const bool dangles = !is_inside(bucket, reference) || !existing.contains(reference);
      RC_ASSERT(!(dangles && near(reference) == near(key)));
    }
  }
}

// And nothing is forgotten: what no rule keeps is found, so that the property above is not met by an empty plan.
RC_GTEST_PROP(Planning, finds_every_object_that_no_rule_keeps, ()) {
  TestBucket bucket;
  fill(bucket);
  const Model model = model_of(bucket);
  const auto existing_keys = bucket.store.keys();
  const Keys existing(existing_keys.begin(), existing_keys.end());
  Keys expected;
  for (const std::string& key : existing_keys) {
    const auto object = bucket.store.head(ObjectKey(key));
    const bool near_miss = std::ranges::any_of(model.primary, [&](const std::string& reference) {
      return (!is_inside(bucket, reference) || !existing.contains(reference)) && near(reference) == near(key);
    });
    if (is_inside(bucket, key) && !is_reserved_key(key) && !model.references(key) && key != "keep/x" && object->last_modified &&
        !is_folder_marker(key, object->size_bytes) && !near_miss) {
      expected.insert(key);
    }
  }
  const auto findings = bucket.scan();
  RC_ASSERT(findings.has_value());
  Keys found;
  for (const auto& [key, orphan] : orphans_of(*findings)) found.insert(key);
  RC_ASSERT(found == expected);
  const BucketFigures& f = findings->figures;
  RC_ASSERT(f.total_objects == f.referenced_objects + f.protected_objects + f.orphans_found);
  RC_ASSERT(f.orphans_found == f.young_objects + f.in_grace_objects + f.due_objects);
  RC_ASSERT(f.total_bytes == f.referenced_bytes + f.protected_bytes + f.orphan_bytes);
}

RC_GTEST_PROP(Planning, twice_gives_the_same_candidates, ()) {
  TestBucket bucket;
  fill(bucket);
  const Keys first = planned(bucket);
  bucket.salt = *rc::gen::arbitrary<std::uint64_t>();
  bucket.workers = static_cast<unsigned>(*rc::gen::inRange(1, 4));
  RC_ASSERT(planned(bucket) == first);
}

RC_GTEST_PROP(Planning, does_not_depend_on_the_order_of_sources_or_rows, ()) {
  TestBucket bucket;
  fill(bucket);
  const Keys first = planned(bucket);
  std::reverse(bucket.policy.sources.begin(), bucket.policy.sources.end());
  std::reverse(bucket.sources.begin(), bucket.sources.end());
  for (auto& source : bucket.sources) std::ranges::reverse(source.data().rows);
  RC_ASSERT(planned(bucket) == first);
}

// More references never mean more deletions, whatever they say.
RC_GTEST_PROP(Planning, a_further_row_of_an_existing_object_takes_nothing_else_into_the_plan, ()) {
  TestBucket bucket;
  fill(bucket);
  const Keys before = planned(bucket);
  if (before.empty()) return;
  const std::string& kept = *before.begin();
  bucket.add_source({kept}, KeyForm::key);
  Keys expected = before;
  expected.erase(kept);
  RC_ASSERT(planned(bucket) == expected);
}

// explain must tell what scan decided, or it explains nothing.
RC_GTEST_PROP(Explaining, agrees_with_scan_about_every_object, ()) {
  TestBucket bucket;
  fill(bucket);
  const Model model = model_of(bucket);
  const auto findings = bucket.scan();
  RC_ASSERT(findings.has_value());
  const auto orphans = orphans_of(*findings);
  for (const std::string& key : bucket.store.keys()) {
    const auto explanation = explain(bucket.store, bucket.bindings(), bucket.policy, bucket.ledger(), key, {});
    RC_ASSERT(explanation.has_value());
    std::string expected = model.references(key) ? "referenced" : "protected";
    if (const auto at = orphans.find(key); at != orphans.end()) {
      expected = at->second.state == OrphanState::young      ? "young"
                 : at->second.state == OrphanState::in_grace ? "in_grace"
                                                             : "due";
    }
    RC_ASSERT(explanation->verdict == expected);
  }
}

}  // namespace
}  // namespace heimdall
