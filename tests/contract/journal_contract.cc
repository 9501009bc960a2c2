#include "journal_contract.h"

#include <gmock/gmock.h>

#include <vector>

namespace heimdall::testing {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::HasSubstr;

ObjectMeta object(std::string key, std::string etag = "e1") {
  return {ObjectKey(std::move(key)), 17, Timestamp(std::chrono::seconds(1'700'000'000)), std::move(etag), ""};
}
Deletion outcome(const ObjectMeta& of, Outcome what, std::string error = "") { return {"raw", of, what, std::move(error)}; }

std::vector<Deletion> deletions_of(JournalLog& journal, std::string_view run_id) {
  std::vector<Deletion> all;
  const auto visited = journal.deletions(run_id, [&](const Deletion& deletion) -> Result<void> {
    all.push_back(deletion);
    return {};
  });
  EXPECT_TRUE(visited.has_value());
  return all;
}

std::vector<std::string> keys_in_doubt(JournalLog& journal, std::string_view identity = "") {
  std::vector<std::string> keys;
  const auto doubts = journal.in_doubt(identity);
  EXPECT_TRUE(doubts.has_value());
  if (doubts) {
    for (const InDoubt& doubt : *doubts) keys.push_back(doubt.object.key.bytes());
  }
  return keys;
}

// Invariant 6: the intent is durable before the request leaves.
TEST_P(StateContract, intent_survives_a_crash_as_in_doubt) {
  const ObjectMeta planned = object(std::string("a\0b\xff/'\"", 8));
  ASSERT_TRUE(journal().intend("run-1", "raw", "minio/raw", {{planned}}).has_value());
  state_->crash();
  const auto doubts = journal().in_doubt("");
  ASSERT_EQ(doubts->size(), 1U);
  EXPECT_EQ((*doubts)[0].run_id, "run-1");
  EXPECT_EQ((*doubts)[0].bucket, "raw");
  EXPECT_EQ((*doubts)[0].bucket_identity, "minio/raw");
  EXPECT_EQ((*doubts)[0].object, planned);
}

// Invariant 6: an outcome that was not made durable leaves its key in doubt, never lost.
TEST_P(StateContract, outcome_is_durable_with_the_next_intent_or_flush) {
  const ObjectMeta a = object("a"), b = object("b"), c = object("c");
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{a}}).has_value());
  ASSERT_TRUE(journal().record("run-1", {{outcome(a, Outcome::deleted)}}).has_value());
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{b, c}}).has_value());
  ASSERT_TRUE(journal().record("run-1", {{outcome(b, Outcome::deleted)}}).has_value());
  ASSERT_TRUE(journal().flush().has_value());
  ASSERT_TRUE(journal().record("run-1", {{outcome(c, Outcome::deleted)}}).has_value());
  state_->crash();
  EXPECT_EQ(keys_in_doubt(journal()), std::vector<std::string>{"c"});
  const auto all = deletions_of(journal(), "run-1");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].outcome, Outcome::deleted);
  EXPECT_EQ(all[1].outcome, Outcome::deleted);
  EXPECT_EQ(all[2].outcome, Outcome::in_doubt);
}

TEST_P(StateContract, outcome_is_seen_at_once_by_the_process_that_recorded_it) {
  const ObjectMeta a = object("a");
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{a}}).has_value());
  ASSERT_TRUE(journal().record("run-1", {{outcome(a, Outcome::failed, "denied")}}).has_value());
  EXPECT_TRUE(keys_in_doubt(journal()).empty());
  const auto all = deletions_of(journal(), "run-1");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].outcome, Outcome::failed);
  EXPECT_EQ(all[0].error, "denied");
  EXPECT_EQ(all[0].object, a);
}

TEST_P(StateContract, records_skipped_keys_that_never_had_an_intent) {
  const ObjectMeta skipped = object("skipped"), sent = object("sent");
  ASSERT_TRUE(journal().record("run-1", {{outcome(skipped, Outcome::skipped_referenced)}}).has_value());
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{sent}}).has_value());
  state_->crash();
  const auto all = deletions_of(journal(), "run-1");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].object.key.bytes(), "skipped");
  EXPECT_EQ(all[0].outcome, Outcome::skipped_referenced);
  EXPECT_EQ(keys_in_doubt(journal(), "id"), std::vector<std::string>{"sent"});
}

TEST_P(StateContract, recovery_settles_a_key_under_the_run_that_sent_it) {
  const ObjectMeta a = object("a");
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{a}}).has_value());
  state_->crash();
  ASSERT_TRUE(journal().record("run-1", {{outcome(a, Outcome::deleted)}}).has_value());
  ASSERT_TRUE(journal().flush().has_value());
  state_->crash();
  EXPECT_TRUE(keys_in_doubt(journal()).empty());
  const auto all = deletions_of(journal(), "run-1");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].outcome, Outcome::deleted);
}

// A retry after `failed`: the key is in doubt again until its new outcome is known.
TEST_P(StateContract, second_intent_puts_the_key_in_doubt_again) {
  const ObjectMeta a = object("a");
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{a}}).has_value());
  ASSERT_TRUE(journal().record("run-1", {{outcome(a, Outcome::failed, "slow down")}}).has_value());
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{a}}).has_value());
  state_->crash();
  EXPECT_EQ(keys_in_doubt(journal()), std::vector<std::string>{"a"});
  EXPECT_EQ(deletions_of(journal(), "run-1").size(), 1U);
}

TEST_P(StateContract, rewritten_object_of_the_same_key_has_its_own_row) {
  const ObjectMeta old_one = object("a", "e1"), new_one = object("a", "e2");
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{old_one}}).has_value());
  ASSERT_TRUE(journal().record("run-1", {{outcome(old_one, Outcome::deleted)}}).has_value());
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{new_one}}).has_value());
  const auto all = deletions_of(journal(), "run-1");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].outcome, Outcome::deleted);
  EXPECT_EQ(all[1].outcome, Outcome::in_doubt);
}

TEST_P(StateContract, in_doubt_is_asked_per_physical_bucket) {
  ASSERT_TRUE(journal().intend("run-1", "raw", "id-1", {{object("a")}}).has_value());
  ASSERT_TRUE(journal().intend("run-1", "audio", "id-2", {{object("b")}}).has_value());
  EXPECT_EQ(keys_in_doubt(journal(), "id-2"), std::vector<std::string>{"b"});
  EXPECT_EQ(keys_in_doubt(journal()), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(keys_in_doubt(journal(), "id-3").empty());
}

// Invariant 8: a bucket that was exchanged in mid-run is another one.
TEST_P(StateContract, refuses_another_physical_bucket_in_one_run) {
  ASSERT_TRUE(journal().intend("run-1", "raw", "id-1", {{object("a")}}).has_value());
  const auto refused = journal().intend("run-1", "raw", "id-2", {{object("b")}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(keys_in_doubt(journal()), std::vector<std::string>{"a"});
}

// Invariant 6: the look-up waits from a time that is not before the request left.
TEST_P(StateContract, recorded_doubt_was_sent_no_later_than_it_was_recorded) {
  const ObjectMeta a = object("a");
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", {{a}}).has_value());
  clock_.advance(std::chrono::seconds(15));
  const Timestamp sent = clock_.now();
  ASSERT_TRUE(journal().record("run-1", {{outcome(a, Outcome::in_doubt, "no answer")}}).has_value());
  clock_.advance(hours(1));
  ASSERT_TRUE(journal().flush().has_value());
  EXPECT_EQ((*journal().in_doubt(""))[0].sent_at, sent);
}

TEST_P(StateContract, visits_a_long_journal_in_order_until_the_visitor_fails) {
  std::vector<ObjectMeta> objects;
  for (int i = 0; i < 1203; ++i) objects.push_back(object("k" + std::to_string(5000 - i)));
  ASSERT_TRUE(journal().intend("run-1", "raw", "id", objects).has_value());
  const auto all = deletions_of(journal(), "run-1");
  ASSERT_EQ(all.size(), objects.size());
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].object, objects[i]);
  int visits = 0;
  const auto stopped = journal().deletions("run-1", [&](const Deletion&) -> Result<void> {
    if (++visits == 700) return Error{ErrorCode::cancelled, "enough"};
    return {};
  });
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().message, "enough");
  EXPECT_EQ(visits, 700);
}

TEST_P(StateContract, journal_keeps_runs_apart_and_every_field_as_it_was) {
  ObjectMeta odd{ObjectKey("k"), (std::uint64_t{1} << 40U) + 3, std::nullopt, "\"etag-7\"", "v1"};
  ASSERT_TRUE(journal().record("run-1", {{outcome(odd, Outcome::skipped_changed, "no date")}}).has_value());
  ASSERT_TRUE(journal().record("run-2", {{outcome(object("x"), Outcome::already_gone)}}).has_value());
  ASSERT_TRUE(journal().flush().has_value());
  state_->crash();
  const auto all = deletions_of(journal(), "run-1");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].object, odd);
  EXPECT_EQ(all[0].bucket, "raw");
  EXPECT_EQ(all[0].error, "no date");
}

RunReport run(std::string id, Timestamp started_at, RunStatus status, std::string command = "scan") {
  RunReport report;
  report.run_id = std::move(id);
  report.command = std::move(command);
  report.status = status;
  report.started_at = started_at;
  return report;
}

TEST_P(StateContract, run_is_replaced_by_its_end_and_survives) {
  RunReport report = run("r1", clock_.now(), RunStatus::running, "apply");
  report.buckets["gone-later"].total_objects = 1;
  ASSERT_TRUE(history().save_run(report).has_value());
  report.status = RunStatus::partial;
  report.dry_run = true;
  report.completed_at = clock_.now() + minutes(1) + std::chrono::nanoseconds(7);
  report.error = "one key failed";
  report.trigger = "schedule nightly";
  report.scanned = {"raw"};
  report.sweeps["raw"] = {.wall = std::chrono::seconds(5), .recheck = minutes(1), .compare = minutes(2), .journal = minutes(3),
                          .remove = minutes(4), .workers = 6};
  report.buckets.clear();
  BucketFigures& figures = report.buckets["raw"];
  std::uint64_t n = 1;
  for (auto member : {&BucketFigures::total_objects, &BucketFigures::total_bytes, &BucketFigures::references,
                      &BucketFigures::referenced_objects, &BucketFigures::referenced_bytes, &BucketFigures::protected_objects,
                      &BucketFigures::protected_bytes, &BucketFigures::orphans_found, &BucketFigures::orphan_bytes,
                      &BucketFigures::young_objects, &BucketFigures::in_grace_objects, &BucketFigures::in_grace_bytes,
                      &BucketFigures::due_objects, &BucketFigures::due_bytes, &BucketFigures::orphans_deleted,
                      &BucketFigures::bytes_deleted, &BucketFigures::deletion_failures, &BucketFigures::skipped_referenced,
                      &BucketFigures::skipped_changed, &BucketFigures::already_gone, &BucketFigures::dangling_references,
                      &BucketFigures::near_misses, &BucketFigures::unmapped_references}) {
    figures.*member = n++ << 33U;
  }
  figures.grace_ends = clock_.now() + hours(72);
  ASSERT_TRUE(history().save_run(report).has_value());
  const auto read = history().run("r1");
  ASSERT_TRUE(read.has_value() && read->has_value());
  EXPECT_EQ((*read)->command, "apply");
  EXPECT_EQ((*read)->status, RunStatus::partial);
  EXPECT_TRUE((*read)->dry_run);
  EXPECT_EQ((*read)->started_at, report.started_at);
  EXPECT_EQ((*read)->completed_at, report.completed_at);
  EXPECT_EQ((*read)->error, "one key failed");
  EXPECT_EQ((*read)->buckets, report.buckets);
  EXPECT_EQ((*read)->trigger, "schedule nightly");
  EXPECT_EQ((*read)->scanned, report.scanned);
  EXPECT_EQ((*read)->sweeps, report.sweeps);
  EXPECT_FALSE(history().run("r2")->has_value());
}

TEST_P(StateContract, runs_come_newest_first_and_no_more_than_asked) {
  for (int i : {2, 1, 3}) {
    ASSERT_TRUE(history().save_run(run("r" + std::to_string(i), clock_.now() + minutes(i), RunStatus::success)).has_value());
  }
  const auto two = history().runs(2);
  ASSERT_EQ(two->size(), 2U);
  EXPECT_EQ((*two)[0].run_id, "r3");
  EXPECT_EQ((*two)[1].run_id, "r2");
  EXPECT_EQ(history().runs(100)->size(), 3U);
}

TEST_P(StateContract, killed_runs_are_those_that_may_have_deleted_and_never_ended) {
  const auto save = [&](std::string id, RunStatus status, std::string command, bool ended) {
    RunReport report = run(std::move(id), clock_.now(), status, std::move(command));
    if (ended) report.completed_at = clock_.now();
    ASSERT_TRUE(history().save_run(report).has_value());
  };
  save("apply", RunStatus::interrupted, "apply", false);
  save("cleanup", RunStatus::interrupted, "cleanup", false);
  save("cancelled", RunStatus::interrupted, "cleanup", true);
  save("scan", RunStatus::interrupted, "scan", false);
  save("running", RunStatus::running, "cleanup", false);
  save("done", RunStatus::success, "cleanup", true);
  EXPECT_THAT(*history().killed_runs(), ::testing::UnorderedElementsAre("apply", "cleanup"));
}

TEST_P(StateContract, last_figures_come_from_the_last_complete_scan_however_its_run_ended) {
  enum class Scanned { no, yes };
  const auto save = [&](int minute, RunStatus status, std::uint64_t total, Scanned scanned) {
    RunReport report = run("r" + std::to_string(minute), clock_.now() + minutes(minute), status, "cleanup");
    report.buckets["raw"].total_objects = total;
    if (scanned == Scanned::yes) report.scanned = {"raw"};
    ASSERT_TRUE(history().save_run(report).has_value());
  };
  EXPECT_FALSE(history().last_figures("raw")->has_value());
  save(1, RunStatus::success, 10, Scanned::yes);
  save(2, RunStatus::refused, 20, Scanned::yes);
  save(3, RunStatus::success, 30, Scanned::no);  // the figures of a plan
  save(4, RunStatus::partial, 40, Scanned::no);
  EXPECT_EQ((*history().last_figures("raw"))->total_objects, 20U);
  EXPECT_FALSE(history().last_figures("audio")->has_value());
  save(5, RunStatus::interrupted, 50, Scanned::yes);
  EXPECT_EQ((*history().last_figures("raw"))->total_objects, 50U);
  save(6, RunStatus::failed, 60, Scanned::yes);
  EXPECT_EQ((*history().last_figures("raw"))->total_objects, 60U);
  save(7, RunStatus::success, 0, Scanned::yes);  // the bucket is empty now
  EXPECT_EQ((*history().last_figures("raw"))->total_objects, 0U);
}

TEST_P(StateContract, baseline_is_replaced_as_a_whole) {
  EXPECT_FALSE(history().baseline("raw")->has_value());
  Baseline baseline{"minio/raw", {{"main: SELECT b", {"cluster/db", "s.t", 77}, 1000}, {"list: a", {"a", "", 0}, 5}}, clock_.now()};
  ASSERT_TRUE(history().save_baseline("raw", baseline).has_value());
  EXPECT_EQ(**history().baseline("raw"), baseline);
  baseline.sources.erase(baseline.sources.begin());
  baseline.sources[0].rows = 6;
  ASSERT_TRUE(history().save_baseline("raw", baseline).has_value());
  state_->crash();
  EXPECT_EQ(**history().baseline("raw"), baseline);
  EXPECT_FALSE(history().baseline("audio")->has_value());
}

TEST_P(StateContract, plan_works_once) {
  EXPECT_FALSE(history().plan_user("digest")->has_value());
  ASSERT_TRUE(history().use_plan("digest", "run-1").has_value());
  state_->crash();
  const auto again = history().use_plan("digest", "run-2");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(again.error().message, HasSubstr("run-1 at 2026-11-23T"));
  EXPECT_EQ(**history().plan_user("digest"), "run-1");
  EXPECT_TRUE(history().use_plan("other", "run-2").has_value());
}

TEST_P(StateContract, clock_anchor_comes_back_as_it_was_saved) {
  EXPECT_FALSE(history().clock_anchor()->has_value());
  for (const char* boot : {"boot-1", "boot-2"}) {
    const ClockAnchor anchor{boot, BootTime{std::chrono::nanoseconds(123456789)}, clock_.now()};
    ASSERT_TRUE(history().save_clock_anchor(anchor).has_value());
    state_->crash();
    const auto read = history().clock_anchor();
    ASSERT_TRUE(read->has_value());
    EXPECT_EQ((*read)->boot_id, boot);
    EXPECT_EQ((*read)->boot_time, anchor.boot_time);
    EXPECT_EQ((*read)->wall, anchor.wall);
  }
}

}  // namespace
}  // namespace heimdall::testing
