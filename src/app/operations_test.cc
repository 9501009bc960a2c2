#include "app/operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/test_place.h"
#include "base/clock.h"
#include "base/ids.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Place;

using Stage = RunOutcome::Stage;

class RecordedWarnings final : public Progress {
 public:
  void begin(std::string_view, std::string_view, std::optional<std::uint64_t>) override {}
  void advance(std::uint64_t) override {}
  void end() override {}
  void warn(std::string_view message) override { messages.emplace_back(message); }
  std::vector<std::string> messages;
};

// Passes on to the journal of the state, and keeps what it saw.
class SeenJournal final : public JournalLog {
 public:
  explicit SeenJournal(JournalLog& inner) : inner_(inner) {}
  Result<void> intend(std::string_view run_id, std::string_view bucket, std::string_view identity, std::span<const ObjectMeta> objects) override {
    return inner_.intend(run_id, bucket, identity, objects);
  }
  Result<void> record(std::string_view run_id, std::span<const Deletion> deletions) override {
    for (const Deletion& deletion : deletions) seen.emplace_back(deletion.object.key.bytes());
    return inner_.record(run_id, deletions);
  }
  Result<void> flush() override { return inner_.flush(); }
  Result<std::vector<InDoubt>> in_doubt(std::string_view identity) override { return inner_.in_doubt(identity); }
  Result<void> deletions(std::string_view run_id, const std::function<Result<void>(const Deletion&)>& visit) override {
    return inner_.deletions(run_id, visit);
  }
  std::vector<std::string> seen;

 private:
  JournalLog& inner_;
};

// One tree: what is below a/ may be deleted (`photos`), what is below b/ is only looked at (`looked`). Each has two rows with an object and one orphan.
class OperationsTest : public ::testing::Test {
 protected:
  OperationsTest() {
    for (const std::string folder : {"a", "b"}) {
      for (const std::string name : {"1", "2"}) {
        put(folder + "/" + name);
        place_.execute("INSERT INTO photos VALUES('" + folder + "/" + name + "')");
      }
      put(folder + "/orphan");
    }
  }

  void put(const std::string& key) {
    place_.put(key);
    std::filesystem::last_write_time(place_.root() / "media" / key, std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 90));
  }
  bool has(const std::string& key) const { return std::filesystem::exists(place_.root() / "media" / key); }

  Config config() {
    const auto lines = [](const std::string& prefix, const std::string& mode) {
      return "    prefixes: [\"" + prefix + "\"]\n    grace: 0s\n    mode: " + mode +
             "\n    references: [{database: local, query: \"SELECT path FROM photos WHERE path LIKE '" + prefix + "%'\"}]\n";
    };
    Config config = place_.config(lines("a/", "delete"), "  - name: looked\n    store: media\n" + lines("b/", "report"));
    config.stores.front().directory.age = DirectoryAge::modification;
    return config;
  }
  std::unique_ptr<Workspace> open(Config config) {
    auto workspace = Workspace::open(std::move(config), {}, clock_);
    EXPECT_TRUE(workspace.has_value()) << (workspace ? "" : workspace.error().message);
    return workspace ? std::move(*workspace) : nullptr;
  }
  RunContext context(Workspace& workspace, const std::string& command = "cleanup") {
    RunContext run{new_run_id(clock_), command, workspace.state(), clock_, progress_, {}, {}};
    run.trigger = "schedule nightly";
    return run;
  }
  static RunReport in_history(Workspace& workspace, const RunContext& run) {
    const auto report = workspace.state().run(run.run_id);
    EXPECT_TRUE(report.has_value() && report->has_value());
    return report.has_value() && report->has_value() ? **report : RunReport{};
  }
  std::filesystem::path plan_file() const { return place_.root() / "p.plan"; }
  std::size_t scratch_files() const {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(place_.root() / "state" / "tmp")) files += entry.is_regular_file() && entry.path().extension() != ".alive" ? 1 : 0;
    return files;
  }

  Place place_;
  SystemClock clock_;
  RecordedWarnings progress_;
};

TEST_F(OperationsTest, a_cleanup_deletes_what_the_modes_allow_and_tells_of_all_buckets) {
  const auto workspace = open(config());
  RunContext run = context(*workspace);
  const RunOutcome outcome = cleanup(*workspace, {}, run);
  ASSERT_FALSE(outcome.error.has_value()) << outcome.error->message;
  EXPECT_FALSE(has("a/orphan"));
  EXPECT_TRUE(has("b/orphan") && has("a/1") && has("a/2"));
  for (const RunReport& report : {outcome.report, in_history(*workspace, run)}) {
    EXPECT_EQ(report.status, RunStatus::success);
    EXPECT_EQ(report.command, "cleanup");
    ASSERT_EQ(report.buckets.size(), 2U);
    EXPECT_EQ(report.buckets.at("photos").orphans_deleted, 1U);
    EXPECT_EQ(report.buckets.at("looked").orphans_found, 1U);
    EXPECT_EQ(report.buckets.at("looked").orphans_deleted, 0U);
  }
  EXPECT_EQ(outcome.report.trigger, "schedule nightly");
  EXPECT_EQ(scratch_files(), 0U);
}

TEST_F(OperationsTest, a_dry_run_plans_nothing_and_deletes_nothing) {
  const auto workspace = open(config());
  RunContext run = context(*workspace);
  CleanupRequest request;
  request.dry_run = RunReport::DryRun::yes;
  request.approve = [](const Plan&, const RunOutcome&) -> Result<void> { return Error{ErrorCode::internal, "asked for a dry run"}; };
  const RunOutcome outcome = cleanup(*workspace, request, run);
  ASSERT_FALSE(outcome.error.has_value()) << outcome.error->message;
  EXPECT_TRUE(has("a/orphan"));
  EXPECT_TRUE(outcome.report.dry_run && in_history(*workspace, run).dry_run);
  EXPECT_EQ(outcome.report.buckets.at("photos").due_objects, 1U);
}

TEST_F(OperationsTest, who_is_asked_sees_the_plan_and_may_say_no) {
  const auto workspace = open(config());
  RunContext run = context(*workspace);
  CleanupRequest request;
  request.approve = [&](const Plan& plan, const RunOutcome& scanned) -> Result<void> {
    EXPECT_EQ(plan.candidates(), 1U);
    EXPECT_TRUE(std::filesystem::exists(plan.path()));
    EXPECT_EQ(scanned.report.buckets.size(), 2U);
    return Error{ErrorCode::not_approved, "nobody wanted it"};
  };
  const RunOutcome outcome = cleanup(*workspace, request, run);
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_EQ(outcome.stage, Stage::approving);
  EXPECT_EQ(outcome.error->code, ErrorCode::not_approved);
  EXPECT_TRUE(has("a/orphan"));
  const RunReport kept = in_history(*workspace, run);
  EXPECT_EQ(kept.status, RunStatus::failed);
  EXPECT_EQ(kept.error, "nobody wanted it");
  EXPECT_EQ(kept.buckets.size(), 2U);
  EXPECT_EQ(scratch_files(), 0U);
}

TEST_F(OperationsTest, without_candidates_nobody_is_asked) {
  std::filesystem::remove(place_.root() / "media/a/orphan");
  const auto workspace = open(config());
  RunContext run = context(*workspace);
  CleanupRequest request;
  request.approve = [](const Plan&, const RunOutcome&) -> Result<void> { return Error{ErrorCode::internal, "asked about nothing"}; };
  const RunOutcome outcome = cleanup(*workspace, request, run);
  EXPECT_FALSE(outcome.error.has_value());
  EXPECT_FALSE(outcome.plan.has_value());
  EXPECT_EQ(in_history(*workspace, run).status, RunStatus::success);
}

TEST_F(OperationsTest, guards_refuse_a_cleanup_and_it_says_which) {
  place_.execute("DELETE FROM photos WHERE path = 'a/1'");
  const auto workspace = open(config());
  RunContext run = context(*workspace);
  const RunOutcome outcome = cleanup(*workspace, {}, run);
  ASSERT_EQ(outcome.refusals.size(), 1U);
  EXPECT_EQ(outcome.refusals.front().guard, Guard::orphan_ratio);
  EXPECT_EQ(in_history(*workspace, run).status, RunStatus::refused);
  EXPECT_TRUE(has("a/orphan") && has("a/1"));

  RunContext accepting = context(*workspace);
  accepting.accepted = {Guard::orphan_ratio};
  const RunOutcome accepted = cleanup(*workspace, {}, accepting);
  ASSERT_FALSE(accepted.error.has_value()) << accepted.error->message;
  ASSERT_EQ(accepted.overridden.size(), 1U) << "also after the sweep";
  EXPECT_EQ(accepted.report.buckets.at("photos").orphans_deleted, 2U);
}

TEST_F(OperationsTest, a_bucket_that_is_only_looked_at_refuses_no_cleanup) {
  place_.execute("DELETE FROM photos WHERE path = 'b/1'");
  for (const auto dry_run : {RunReport::DryRun::yes, RunReport::DryRun::no}) {
    const auto workspace = open(config());
    RunContext run = context(*workspace);
    progress_.messages.clear();
    CleanupRequest request;
    request.dry_run = dry_run;
    const RunOutcome outcome = cleanup(*workspace, request, run);
    EXPECT_FALSE(outcome.error.has_value());
    EXPECT_THAT(outcome.refusals, IsEmpty());
    ASSERT_EQ(outcome.overridden.size(), 1U);
    EXPECT_EQ(outcome.overridden.front().bucket, "looked");
    EXPECT_EQ(in_history(*workspace, run).status, RunStatus::success);
    EXPECT_THAT(progress_.messages, ElementsAre(HasSubstr("[orphan_ratio] looked: 2 of 3 objects are due")));
    EXPECT_FALSE(workspace->state().baseline("looked")->has_value()) << "it was not believed";
    EXPECT_TRUE(workspace->state().baseline("photos")->has_value());
  }
  EXPECT_FALSE(has("a/orphan"));
  EXPECT_TRUE(has("b/orphan") && has("b/1"));
}

TEST_F(OperationsTest, a_clock_that_was_stepped_is_remembered_until_it_is_accepted) {
  Config only_looked = config();
  only_looked.buckets.erase(only_looked.buckets.begin());
  const auto workspace = open(std::move(only_looked));
  const ClockAnchor stepped{clock_.boot_id(), clock_.boot_now(), clock_.now() - std::chrono::hours(1)};
  ASSERT_TRUE(workspace->state().save_clock_anchor(stepped).has_value());
  RunContext run = context(*workspace);
  EXPECT_FALSE(cleanup(*workspace, {}, run).error.has_value());
  EXPECT_THAT(progress_.messages, ElementsAre(HasSubstr("[clock_skew]")));
  EXPECT_EQ((*workspace->state().clock_anchor())->wall, stepped.wall);
}

// Invariant 9.
TEST_F(OperationsTest, a_bucket_that_somebody_else_sweeps_fails_the_run_and_is_left_alone) {
  const auto workspace = open(config());
  const auto other = open(config());
  auto held = other->hold(*other->find("photos"));
  ASSERT_TRUE(held.has_value());
  RunContext run = context(*workspace);
  const RunOutcome outcome = cleanup(*workspace, {}, run);
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_EQ(outcome.error->code, ErrorCode::locked);
  EXPECT_EQ(outcome.stage, Stage::holding);
  EXPECT_TRUE(has("a/orphan"));
  EXPECT_EQ(in_history(*workspace, run).status, RunStatus::failed);
  EXPECT_EQ(in_history(*workspace, run).buckets.size(), 2U);
}

TEST_F(OperationsTest, a_store_that_is_not_there_fails_the_run_and_it_is_remembered) {
  const auto workspace = open(config());
  std::filesystem::remove_all(place_.root() / "media");
  RunContext run = context(*workspace);
  const RunOutcome outcome = cleanup(*workspace, {}, run);
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_EQ(outcome.stage, Stage::opening);
  EXPECT_EQ(outcome.report.run_id, run.run_id);
  EXPECT_EQ(outcome.report.trigger, "schedule nightly");
  EXPECT_TRUE(outcome.report.completed_at.has_value());
  EXPECT_EQ(in_history(*workspace, run).status, RunStatus::failed);
  EXPECT_THAT(in_history(*workspace, run).error, HasSubstr("store 'media'"));
}

TEST_F(OperationsTest, a_plan_is_made_and_carried_out_once) {
  const auto workspace = open(config());
  RunContext planning = context(*workspace, "plan");
  RunOutcome planned = make_plan(*workspace, plan_file(), {}, planning);
  ASSERT_TRUE(planned.plan.has_value());
  EXPECT_EQ(planned.plan->candidates(), 2U) << "buckets in any mode";
  RunContext first = context(*workspace, "apply");
  const RunOutcome forbidden = carry_out(*workspace, *std::move(planned.plan), first);
  ASSERT_TRUE(forbidden.error.has_value());
  EXPECT_EQ(forbidden.error->code, ErrorCode::not_approved) << "a bucket in mode report";
  EXPECT_EQ(forbidden.stage, Stage::approving);
  EXPECT_FALSE(workspace->state().run(first.run_id)->has_value());

  const std::vector<std::string> photos = {"photos"};
  auto narrow = Workspace::open(config(), photos, clock_);
  ASSERT_TRUE(narrow.has_value());
  RunContext again = context(**narrow, "plan");
  ASSERT_TRUE(make_plan(**narrow, plan_file(), {}, again).plan.has_value());
  for (const bool is_first : {true, false}) {
    auto plan = Plan::open(plan_file());
    ASSERT_TRUE(plan.has_value());
    RunContext applying = context(**narrow, "apply");
    const RunOutcome applied = carry_out(**narrow, std::move(*plan), applying);
    EXPECT_EQ(applied.error.has_value(), !is_first);
    EXPECT_EQ(applied.stage, is_first ? Stage::running : Stage::approving);
    if (!is_first) {
      EXPECT_EQ(applied.error->code, ErrorCode::failed_precondition);
    }
  }
  EXPECT_FALSE(has("a/orphan"));
}

TEST_F(OperationsTest, statistics_are_no_matter_for_guards) {
  place_.execute("DELETE FROM photos WHERE path = 'a/1'");
  const auto workspace = open(config());
  RunContext run = context(*workspace, "stats");
  const RunOutcome outcome = take_stats(*workspace, run);
  EXPECT_FALSE(outcome.error.has_value());
  EXPECT_THAT(outcome.refusals, IsEmpty());
  ASSERT_EQ(outcome.overridden.size(), 1U);
  EXPECT_EQ(outcome.overridden.front().guard, Guard::orphan_ratio);
  EXPECT_EQ(outcome.report.status, RunStatus::success);
  EXPECT_EQ(in_history(*workspace, run).status, RunStatus::success);
}

TEST_F(OperationsTest, the_journal_can_be_watched) {
  const auto workspace = open(config());
  SeenJournal journal(workspace->state());
  RunContext run = context(*workspace);
  run.journal = &journal;
  const RunOutcome outcome = cleanup(*workspace, {}, run);
  EXPECT_EQ(outcome.report.buckets.at("photos").orphans_deleted, 1U);
  EXPECT_THAT(journal.seen, ElementsAre("a/orphan"));
}

// Invariant 6.
TEST_F(OperationsTest, what_an_earlier_run_left_in_doubt_is_looked_up_first) {
  put("a/doubt");
  const auto workspace = open(config());
  BucketWorkspace& bucket = *workspace->find("photos");
  const auto reader = bucket.reader();
  const auto object = (*reader)->head(ObjectKey("a/doubt"));
  ASSERT_TRUE(object.has_value());
  ASSERT_TRUE(workspace->state().intend("20260101T000000Z-killed", "photos", *(*reader)->identity(), std::span(&*object, 1)).has_value());
  std::filesystem::remove(place_.root() / "media/a/doubt");
  SeenJournal journal(workspace->state());
  RunContext run = context(*workspace);
  run.journal = &journal;
  const RunOutcome outcome = cleanup(*workspace, {}, run);
  ASSERT_FALSE(outcome.error.has_value()) << outcome.error->message;
  EXPECT_THAT(progress_.messages, ElementsAre(HasSubstr("1 object that an earlier run left in doubt was looked up")));
  EXPECT_THAT(journal.seen, ElementsAre("a/doubt", "a/orphan"));
}

TEST_F(OperationsTest, a_cancelled_run_is_interrupted) {
  const auto workspace = open(config());
  std::stop_source stop;
  RunContext run = context(*workspace);
  run.stop = stop.get_token();
  CleanupRequest request;
  request.approve = [&](const Plan&, const RunOutcome&) -> Result<void> {
    stop.request_stop();
    return {};
  };
  const RunOutcome outcome = cleanup(*workspace, request, run);
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_EQ(outcome.error->code, ErrorCode::cancelled);
  EXPECT_TRUE(has("a/orphan"));
  EXPECT_EQ(in_history(*workspace, run).status, RunStatus::interrupted);
}

}  // namespace
}  // namespace heimdall
