#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "app/config/config.h"
#include "base/format.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/sparkline.h"
#include "cli/standard_output.h"
#include "model/run_totals.h"

namespace heimdall {

namespace {

enum class Color { plain, red, yellow, green, bold };

// Breaks a sentence into lines of at most `width` columns, all but the first indented.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width = 80) {
  std::string result;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (column > indent && column + 1 + word.size() > width) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

class TextOutput final : public Output {
 public:
  TextOutput()
      : colored_(isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr),
        spark_style_(isatty(STDOUT_FILENO) == 1 && is_utf8_locale(process_environment()) ? SparkStyle::blocks : SparkStyle::ascii) {}

  void begin() override {}

  void refusal(const Refusal& refusal) override {
    print("{} {}\n", paint(Color::red, "refused"), wrapped(format("[{}] {}: {}.", name_of(refusal.guard), refusal.bucket, refusal.message), 8));
    print("        {}\n", wrapped(format("If this is as it should be: --accept {}", name_of(refusal.guard)), 8));
  }
  void overridden(const Refusal& refusal) override {
    print("{} {}\n", paint(Color::yellow, "accepted"), wrapped(format("[{}] {}: {}.", name_of(refusal.guard), refusal.bucket, refusal.message), 9));
  }
  void unlisted(const RangeFailure& failure) override {
    is_all_listed_ = false;
    const ListRange& range = failure.range;
    print("{} {}\n", paint(Color::red, "not listed"),
          wrapped(format("keys '{}' after '{}' up to '{}': {}. Nothing in this range was judged.", printable(range.prefix),
                         printable(range.after), range.until.empty() ? "the end" : printable(range.until),
                         failure.error.message), 11));
  }

  void plan(const Plan& plan) override {
    print("Plan {}, made {}\n", plan.run_id(), rfc3339(plan.created()));
    print("expires {}\n", rfc3339(plan.expires()));
    print("sha256 {}\n", plan.digest());
    if (plan.grace() == Selection::Grace::ignore) print("It takes objects that are still in grace, too.\n");
    for (Guard guard : plan.accepted()) print("The guard '{}' was accepted for it.\n", name_of(guard));
    for (const BucketPlan& bucket : plan.buckets()) {
      const bool whole = bucket.unlisted_ranges == 0;
      figures(bucket.bucket, bucket.figures, whole ? Dangling::known : Dangling::unknown);
      if (!whole) print("  {} of {} could not be listed: nothing there is planned\n", with_thousands(bucket.unlisted_ranges), count_of(bucket.ranges, "range"));
      row("  to be deleted", bucket.candidates, human_bytes(bucket.candidate_bytes));
      for (std::size_t i = 0; i < bucket.sources.size(); ++i) {
        const SourceFacts& facts = bucket.sources[i];
        print("  {}\n", wrapped(format("{} of '{}' from {}; {}", count_of(facts.rows, "row"), facts.name,
                                       facts.identity.database, recheck_cost_of(bucket, i)), 4));
      }
    }
  }

  void candidate(const BucketPlan& bucket, const Candidate& candidate) override {
    const std::string name = format("s3://{}/{}", bucket.bucket, printable(candidate.object.key.bytes()));
    print("{}  {}\n    {}\n", name, human_bytes(candidate.object.size_bytes), wrapped(reason_of(bucket, candidate), 4));
  }

  void deletion(const Deletion& deletion) override {
    print("{:<18}  s3://{}/{}{}\n", to_string(deletion.outcome), deletion.bucket, printable(deletion.object.key.bytes()),
          deletion.error.empty() ? "" : "\n    " + wrapped(deletion.error, 4));
  }

  void explanation(const Explanation& explanation) override {
    print("s3://{}/{}: {}\n", explanation.bucket, printable(explanation.key), paint(Color::bold, explanation.verdict));
    for (const std::string& reason : explanation.reasons) print("  - {}\n", wrapped(reason, 4));
  }

  void check(const Check& check) override {
    constexpr std::array kNames = {"ok", "WARN", "FAIL"};
    constexpr std::array kColors = {Color::green, Color::yellow, Color::red};
    const auto status = static_cast<std::size_t>(check.status);
    print("{} {}\n", paint(kColors.at(status), format("{:<4}", kNames.at(status))), wrapped(check.name + ": " + check.message, 5));
    if (!check.fix.empty()) print("     fix: {}\n", wrapped(check.fix, 10));
  }

  void runs(std::span<const RunReport> reports) override {
    // The id begins with the time, in UTC. A column tells schedules and API from people where there is something to tell.
    const bool by = std::any_of(reports.begin(), reports.end(), [](const RunReport& report) { return !report.trigger.empty(); });
    const auto line = [&](std::string_view run, std::string_view command, std::string_view status, std::string_view trigger, std::string_view deleted,
                          std::string_view freed) {
      if (by) print("{:<23} {:<7} {:<11} {:<8} {:>15} {:>11}\n", run, command, status, trigger.substr(0, trigger.find(' ')), deleted, freed);
      else print("{:<23}  {:<7}  {:<11}  {:>15}  {:>14}\n", run, command, status, deleted, freed);
    };
    line("run", "command", "status", "by", "deleted", "freed");
    for (const RunReport& report : reports) {
      const RunTotals totals = totals_of(report);
      line(report.run_id, report.command, to_string(report.status), report.trigger, with_thousands(totals.orphans_deleted), human_bytes(totals.bytes_deleted));
    }
  }

  void run_details(const RunReport& report) override {
    if (!report.trigger.empty()) print("started by {}\n", wrapped(report.trigger, 11));
    for (const auto& [bucket, sweep] : report.sweeps) {
      const auto figures = report.buckets.find(bucket);
      if (figures == report.buckets.end() || !has_times(sweep, figures->second)) continue;
      print("{}\n", paint(Color::bold, bucket));
      times(sweep, figures->second);
    }
  }

  void history(const std::string& bucket, std::span<const BucketDay> days) override {
    constexpr std::size_t kRows = 14;
    constexpr std::size_t kDateSize = 10;  // "2026-11-23"
    print("{}\n", paint(Color::bold, bucket));
    print("{:<10}{:>16}{:>11}{:>16}{:>11}{:>11}\n", "date", "objects", "size", "orphans", "their size", "reclaimed");
    for (const BucketDay& point : days.last(std::min(days.size(), kRows))) {
      print("{:<10}{:>16}{:>11}{:>16}{:>11}{:>11}\n", rfc3339(point.day).substr(0, kDateSize), with_thousands(point.total_objects),
            human_bytes(point.total_bytes), with_thousands(point.orphans_found), human_bytes(point.orphan_bytes), human_bytes(point.bytes_deleted));
    }
    curve("size", days, &BucketDay::total_bytes);
    curve("orphans", days, &BucketDay::orphan_bytes);
  }

  void health(const RunReport& report, const HealthThresholds& thresholds) override {
    constexpr std::array kColors = {Color::green, Color::yellow, Color::red};
    for (const auto& [name, figures] : report.buckets) {
      const Health health = health_of(figures.orphan_bytes, figures.total_bytes, thresholds);
      print("{}: {} ({:.1f} % of its bytes are orphaned)\n", name,
            paint(kColors.at(static_cast<std::size_t>(health)), to_string(health)), orphaned_percentage(figures.orphan_bytes, figures.total_bytes));
    }
  }

  void schedules(std::span<const ScheduleConfig> schedules, std::span<const UpcomingRun> runs) override {
    std::size_t width = 8;
    for (const ScheduleConfig& schedule : schedules) width = std::max(width, schedule.name.size());
    print("{:<{}}  {:<7}  {}\n", "schedule", width, "task", "due");
    for (const ScheduleConfig& schedule : schedules) {
      const std::string late = schedule.jitter.count() > 0 ? format(", up to {} late", duration_text(schedule.jitter)) : "";
      print("{:<{}}  {:<7}  {}{}\n", printable(schedule.name), width, to_string(schedule.task), schedule.timing.text(), late);
    }
    print("\n{:<20}  {:<25}  {}\n", "UTC", "there", "schedule");
    for (const UpcomingRun& run : runs) print("{:<20}  {:<25}  {}\n", rfc3339(run.at), run.local, printable(run.schedule));
  }

  void note(std::string_view sentence) override { print("{}\n", wrapped(sentence, 0)); }

  void summary(const RunReport& report) override {
    for (const auto& [name, f] : report.buckets) {
      figures(name, f, is_all_listed_ || report.scanned.contains(name) ? Dangling::known : Dangling::unknown);
      if (report.command == "apply" && !report.dry_run) outcomes(f);
      if (const auto swept = report.sweeps.find(name); swept != report.sweeps.end()) times(swept->second, f);
    }
    const auto length = report.completed_at.value_or(report.started_at) - report.started_at;
    print("Run {}: {} {}{} in {}.\n", report.run_id, report.command, report.dry_run ? "(dry run) " : "",
          paint(report.status == RunStatus::success ? Color::green : Color::red, to_string(report.status)),
          human_duration(length));
  }

  void done() override {}

  void error(const Error& error) override {
    std::fflush(stdout);
    std::string text = "error: " + error.message + "\n";
    if (!error.hint.empty()) text += "       " + wrapped(error.hint, 7) + "\n";
    std::fwrite(text.data(), 1, text.size(), stderr);
  }

 private:
  void row(std::string_view name, std::uint64_t objects, std::string_view rest) {
    print("{:<30}{:>15}{}\n", name, with_thousands(objects), rest.empty() ? "" : format("{:>14}", rest));
  }

  // Of a bucket that was listed in part nobody knows which objects are not there.
  enum class Dangling { known, unknown };
  void figures(const std::string& name, const BucketFigures& f, Dangling dangling = Dangling::known) {
    print("{}\n", paint(Color::bold, format("{:<30}{:>15}{:>14}", name, "objects", "size")));
    row("  total", f.total_objects, human_bytes(f.total_bytes));
    row("  referenced", f.referenced_objects, human_bytes(f.referenced_bytes));
    row("  protected", f.protected_objects, human_bytes(f.protected_bytes));
    row("  orphans", f.orphans_found, human_bytes(f.orphan_bytes));
    row("    young", f.young_objects, "");
    row("    in grace", f.in_grace_objects, human_bytes(f.in_grace_bytes));
    row("    due", f.due_objects, human_bytes(f.due_bytes));
    if (f.near_misses > 0) {
      print("  {} nearly {} a dangling reference\n", count_of(f.near_misses, "protected object"), f.near_misses == 1 ? "matches" : "match");
    }
    if (dangling == Dangling::known) print("  {}, {} without an object\n", count_of(f.references, "reference"), with_thousands(f.dangling_references));
    else print("  {}; how many have no object is unknown\n", count_of(f.references, "reference"));
  }

  void outcomes(const BucketFigures& f) {
    row("  deleted", f.orphans_deleted, human_bytes(f.bytes_deleted));
    if (f.already_gone > 0) row("  already gone", f.already_gone, "");
    if (f.skipped_referenced > 0) row("  kept: referenced again", f.skipped_referenced, "");
    if (f.skipped_changed > 0) row("  kept: rewritten since", f.skipped_changed, "");
    if (f.deletion_failures > 0) row("  failed or in doubt", f.deletion_failures, "");
  }

  // The latest points, from the lowest value to the highest.
  void curve(std::string_view name, std::span<const BucketDay> days, std::uint64_t BucketDay::*value) {
    constexpr std::size_t kPoints = 44;  // the line fits 80 columns
    std::vector<std::uint64_t> values;
    for (const BucketDay& point : days.last(std::min(days.size(), kPoints))) values.push_back(point.*value);
    const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
    print("{:<8}{}  {}\n", name, sparkline(values, spark_style_),
          *lowest == *highest ? human_bytes(*lowest) : format("{} to {}", human_bytes(*lowest), human_bytes(*highest)));
  }

  static std::chrono::nanoseconds worked(const SweepTimes& times) { return times.recheck + times.compare + times.journal + times.remove; }
  static bool has_times(const SweepTimes& times, const BucketFigures& f) { return f.orphans_deleted > 0 && worked(times).count() > 0; }

  void times(const SweepTimes& times, const BucketFigures& f) {
    if (!has_times(times, f)) return;
    const auto all = worked(times);
    const auto percent = [&](std::chrono::nanoseconds part) {
      return format("{:.0f} %", 100 * static_cast<double>(part.count()) / static_cast<double>(all.count()));
    };
    print("  {}\n", wrapped(format("deleted {} in {:.1f} s ({}/s; {} at a time): recheck {}, compare {}, journal {}, delete {}",
                                  with_thousands(f.orphans_deleted), std::chrono::duration<double>(times.wall).count(),
                                  with_thousands(static_cast<std::uint64_t>(times.per_second(f))), times.workers, percent(times.recheck),
                                  percent(times.compare), percent(times.journal), percent(times.remove)), 4));
  }

  std::string paint(Color color, std::string_view text) const {
    constexpr std::array<std::string_view, 5> kCodes = {"0", "31", "33", "32", "1"};
    if (!colored_) return std::string(text);
    return format("\033[{}m{}\033[0m", kCodes.at(static_cast<std::size_t>(color)), text);
  }

  template <class... Args>
  static void print(fmt::format_string<Args...> pattern, Args&&... args) {
    print_out(format(pattern, std::forward<Args>(args)...));
  }

  bool is_all_listed_ = true;
  bool colored_;
  SparkStyle spark_style_;
};

}  // namespace

std::unique_ptr<Output> make_text_output() { return std::make_unique<TextOutput>(); }

}  // namespace heimdall
