// The whole pipeline against a model made of sets: random buckets, references in random spellings, ages, prefixes and patterns, and
// random changes between plan and sweep. Seeds are fixed by RC_PARAMS (see cmake/HeimdallModule.cmake).

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "pipeline/test_world.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
using Keys = std::set<std::string>;

// A few names that are easily confused.
rc::Gen<std::string> keys() {
  return rc::gen::map(
      rc::gen::pair(rc::gen::element<std::string>("", "a/", "a/b/", "A/", "keep/", "a%2F"),
                    rc::gen::element<std::string>("x.npy", "x y.npy", "x+y.npy", "x%20y.npy", "X.npy", "z", "ü", "x.npy.sha256", "\xff\x01")),
      [](const auto& parts) { return parts.first + parts.second; });
}

std::string percent_spelled(std::string_view key) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '.' || c == '-' || c == '_') out += c;
    else out += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
  }
  return out;
}

// One of the ways in which an application writes down a key.
std::string spelled(KeyForm as, const std::string& key, int way) {
  if (as == KeyForm::key) return way % 2 == 0 ? key : "/" + key;
  if (as == KeyForm::uri) return (way % 2 == 0 ? "s3://raw/" : "S3://old-raw/") + key;
  switch (way % 6) {
    case 0: return key;
    case 1: return "/" + key;
    case 2: return "s3://raw/" + key;
    case 3: return "https://minio.example.com/raw/" + percent_spelled(key) + "?X-Amz-Signature=abc";
    case 4: return "http://raw.s3.example.com/" + percent_spelled(key);
    default: return "s3://old-raw/" + key;
  }
}

// One bucket, and what may never be deleted from it.
class Model {
 public:
  Model() {
    as_ = *rc::gen::element(KeyForm::key, KeyForm::uri, KeyForm::automatic);
    const auto cost = *rc::gen::element(LookupCost::indexed, LookupCost::full_scan, LookupCost::unsupported);
    world.policy.sources[0].mapping.as = as_;
    world.policy.sources[0].mapping.aliases = {"old-raw"};
    if (*rc::gen::arbitrary<bool>()) world.policy.sources[0].mapping.companions = {CompanionTemplate::parse("{key}.sha256").value()};
    for (FakeRow& row : world.source().data().rows) row.value = spelled(as_, row.value, 0);
    world.source().data().lookup_cost = cost;
    world.source().data().batch_size = *rc::gen::inRange<std::size_t>(1, 4);
    world.policy.batch_size = *rc::gen::inRange<std::size_t>(1, 6);
    world.policy.delete_workers = *rc::gen::inRange(1U, 5U);
    world.store.set_page_size(*rc::gen::inRange<std::size_t>(1, 7));
    world.policy.grace = *rc::gen::element(0ms, std::chrono::milliseconds(24h));
    if (*rc::gen::arbitrary<bool>()) world.policy.prefixes = {"a/", "kept/"};
    if (*rc::gen::arbitrary<bool>()) world.policy.protect = {Glob("keep/**")};
    world.policy.guards.min_match_rate = 0;
    world.policy.sources[0].min_match_rate = 0;
    world.policy.guards.max_near_misses = 1000;
  }

  void put_some() {
    for (const std::string& key : *rc::gen::container<std::vector<std::string>>(keys())) put(key, *rc::gen::inRange(0, 4));
  }
  // Age 0 is young, 1 has no date that parses.
  void put(const std::string& key, int age) {
    using std::chrono::nanoseconds;
    const auto date = age == 1 ? std::optional<Timestamp>() : std::optional(world.clock.now() - (age == 0 ? nanoseconds(30min) : nanoseconds(72h)));
    world.store.put_at(key, 5, date);
  }
  void reference(const std::string& key) {
    world.source().add(spelled(as_, key, *rc::gen::inRange(0, 6)));
    named.insert(key);
    if (!world.policy.sources[0].mapping.companions.empty()) named.insert(key + ".sha256");
  }
  void reference_some() {
    for (const std::string& key : *rc::gen::container<std::vector<std::string>>(keys())) reference(key);
  }

  // By the plain words of the contract, not by the code under test.
  bool may_go(const ObjectMeta& object) const {
    const std::string& key = object.key.bytes();
    const bool inside = std::ranges::any_of(world.policy.prefixes, [&](const auto& p) { return key.starts_with(p); });
    const bool is_protected = !world.policy.protect.empty() && key.starts_with("keep/");
    const bool is_old = object.last_modified && *object.last_modified <= world.clock.now() - 1h;
    return inside && !is_protected && is_old && !named.contains(key) && !key.starts_with("kept/");
  }

  World world;
  Keys named;

 private:
  KeyForm as_;
};

Keys candidates_of(const Plan& plan) {
  Keys keys;
  RC_ASSERT(plan.for_each([&](const BucketPlan&, const Candidate& candidate) -> Result<void> {
    keys.insert(candidate.object.key.bytes());
    return {};
  }).has_value());
  return keys;
}

std::map<std::string, ObjectMeta> objects_of(World& world) {
  std::map<std::string, ObjectMeta> objects;
  for (const std::string& key : world.store.keys()) objects[key] = world.store.head(ObjectKey(key)).value();
  return objects;
}

// Invariants 1, 3, 4, 5 and 8 at once: what was deleted was old, unnamed, unprotected, inside the prefixes and unchanged.
TEST(PipelineProperty, deletes_only_what_the_model_allows) {
  const bool holds = rc::check([] {
    Model model;
    World& world = model.world;
    model.put_some();
    model.reference_some();
    world.scan();  // grace begins
    world.clock.advance(25h);
    RunOutcome planned = world.plan();
    RC_ASSERT(planned.plan.has_value());
    const auto at_planning = objects_of(world);
    const Keys planned_keys = candidates_of(*planned.plan);
    for (const std::string& key : planned_keys) RC_ASSERT(model.may_go(at_planning.at(key)));

    // The application goes on between plan and sweep, and while batches go out.
    const auto change = [&] {
      const std::string key = *keys();
      switch (*rc::gen::inRange(0, 4)) {
        case 0: model.reference(key); break;
        case 1: model.put(key, *rc::gen::inRange(0, 4)); break;
        case 2: world.store.erase(key); break;
        default: world.clock.advance(std::chrono::seconds(*rc::gen::inRange(0, 90)));
      }
    };
    for (int i = *rc::gen::inRange(0, 6); i > 0; --i) change();
    const Keys named_before_sweep = model.named;
    const auto before_sweep = objects_of(world);
    const auto delays = *rc::gen::container<std::vector<int>>(static_cast<std::size_t>(*rc::gen::inRange(0, 4)), rc::gen::inRange(0, 90));
    std::atomic<std::size_t> in_flight{0};
    world.store.before_remove = [&](const ObjectMeta&) {
      if (const std::size_t i = in_flight++; i < delays.size()) world.clock.advance(std::chrono::seconds(delays[i]));
    };
    const RunOutcome applied = world.apply(world.approved(*planned.plan).value());
    RC_ASSERT(!applied.error.has_value());
    RC_ASSERT(applied.refusals.empty());

    for (const ObjectMeta& removed : world.store.removed()) {
      const std::string& key = removed.key.bytes();
      RC_ASSERT(planned_keys.contains(key));
      RC_ASSERT(at_planning.at(key) == removed);
      RC_ASSERT(!named_before_sweep.contains(key));
      RC_ASSERT(world.outcome(key) == std::optional(Outcome::deleted));
    }
    // Every candidate has an outcome that agrees with what is there.
    for (const std::string& key : planned_keys) {
      const auto outcome = world.outcome(key);
      RC_ASSERT(outcome.has_value());
      RC_ASSERT(*outcome != Outcome::in_doubt);
      const bool gone = *outcome == Outcome::deleted || *outcome == Outcome::already_gone;
      RC_ASSERT(gone == !world.store.contains(key));
      if (*outcome == Outcome::skipped_referenced) continue;
      const bool unchanged = before_sweep.contains(key) && before_sweep.at(key) == at_planning.at(key);
      // And nothing that was fine to delete was skipped as changed.
      if (unchanged) RC_ASSERT(*outcome == Outcome::deleted || *outcome == Outcome::failed);
    }
  });
  EXPECT_TRUE(holds);
}

// Nothing the model names, whatever the spelling, is ever a candidate; and plain old orphans are found.
TEST(PipelineProperty, a_bucket_of_plain_keys_is_planned_exactly) {
  const bool holds = rc::check([] {
    World world;
    Keys expected;
    const auto numbers = *rc::gen::container<std::set<int>>(rc::gen::inRange(0, 200));
    for (const int n : numbers) {
      const std::string key = "o/" + std::to_string(n);
      world.put_old(key);
      if (*rc::gen::arbitrary<bool>()) world.source().add(key);
      else expected.insert(key);
    }
    world.store.set_page_size(*rc::gen::inRange<std::size_t>(1, 20));
    const RunOutcome planned = world.plan();
    RC_ASSERT(planned.plan.has_value());
    RC_ASSERT(candidates_of(*planned.plan) == expected);
  });
  EXPECT_TRUE(holds);
}

TEST(PipelineProperty, planning_twice_gives_the_same_candidates_and_the_order_of_sources_is_irrelevant) {
  const bool holds = rc::check([] {
    Model model;
    World& world = model.world;
    model.put_some();
    model.reference_some();
    world.add_source("second", KeyForm::automatic).add("kept/1");
    world.policy.sources[1].min_match_rate = 0;
    for (const std::string& key : *rc::gen::container<std::vector<std::string>>(keys())) world.source(1).add(key);
    world.scan();
    world.clock.advance(25h);
    const Keys first = candidates_of(world.plan().plan.value());
    RC_ASSERT(candidates_of(world.plan().plan.value()) == first);
    std::swap(world.sources[0], world.sources[1]);
    std::swap(world.source_ports[0], world.source_ports[1]);
    std::swap(world.policy.sources[0], world.policy.sources[1]);
    RC_ASSERT(candidates_of(world.plan().plan.value()) == first);
    for (auto& source : world.sources) std::ranges::reverse(source->data().rows);
    RC_ASSERT(candidates_of(world.plan().plan.value()) == first);
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace heimdall::testing
