#include "app/doctor.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "app/workspace.h"
#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "io/file.h"
#include "pipeline/judge.h"
#include "pipeline/recheck.h"
#include "pipeline/scan.h"

namespace heimdall {

namespace {

std::string percent_of(std::uint64_t part, std::uint64_t whole) {
  return format("{:.1f} %", whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

class Doctor {
 public:
  Doctor(const Config& config, const DoctorRequest& request, Clock& clock, Progress& progress,
         const std::function<void(const Check&)>& report, std::stop_token stop)
      : config_(config), request_(request), clock_(clock), progress_(progress), report_(report), stop_(std::move(stop)) {}

  void run() {
    ok("configuration", format("'{}' has {} and {}", config_.path.string(), count_of(config_.stores.size(), "store"),
                               count_of(config_.buckets.size(), "bucket")));
    auto opened = Workspace::open(config_, request_.buckets, clock_);
    if (!opened) return failed("state", opened.error());
    workspace_ = std::move(*opened);
    for (const std::string& warning : workspace_->warnings()) this->warning("state", warning, "");
    ok("state", format("'{}' can be written to", workspace_->directory().root().string()));
    check_clock();
    for (BucketWorkspace& bucket : workspace_->buckets()) check_bucket(bucket);
  }

 private:
  void ok(std::string name, std::string message) { report_({std::move(name), Check::Status::ok, std::move(message), ""}); }
  void warning(std::string name, std::string message, std::string fix) {
    report_({std::move(name), Check::Status::warning, std::move(message), std::move(fix)});
  }
  void failed(std::string name, const Error& error) {
    report_({std::move(name), Check::Status::failed, error.message,
             error.hint.empty() ? "see the message" : error.hint});
  }

  void check_clock() {
    const auto anchor = workspace_->state().clock_anchor();
    if (!anchor) return failed("clock", anchor.error());
    const auto step = clock_step(*anchor, clock_);
    if (std::chrono::abs(step) > std::chrono::minutes(5)) {
      return failed("clock", {ErrorCode::failed_precondition,
                              format("the clock was stepped by {} since the last run", human_duration(step)),
                              "set it right; if it is right now, run `scan --accept clock_skew` once"});
    }
    ok("clock", "the clock has not been stepped since the last run");
  }

  void check_bucket(BucketWorkspace& bucket) {
    const std::string& name = bucket.policy().name;
    auto reader = bucket.reader();
    if (!reader) {
      failed("store." + bucket.config().store, reader.error());
    } else if (auto identity = (*reader)->identity(); !identity) {
      failed("store." + bucket.config().store, identity.error());
    } else {
      ok("store." + bucket.config().store, format("can be reached: {}", *identity));
    }
    check_deleting(bucket);
    bool readable = reader.has_value();
    for (std::size_t i = 0; i < bucket.sources().size(); ++i) readable = check_source(bucket, i) && readable;
    if (readable) check_mapping(bucket, **reader);
    else warning("mapping." + name, "not tried, because the store or a reference cannot be read", "mend these first");
  }

  void check_deleting(BucketWorkspace& bucket) {
    const std::string name = "delete." + bucket.policy().name;
    if (bucket.policy().mode == Mode::report) {
      return ok(name, "`mode: report`: nothing in this bucket is ever deleted");
    }
    const StoreConfig& store = *config_.find_store(bucket.config().store);
    if (access(store.directory.path.c_str(), W_OK | X_OK) != 0) {
      return failed(name, {ErrorCode::permission_denied,
                           system_error(errno, format("no permission to delete in '{}'", store.directory.path.string())).message,
                           format("give this user write permission, or set `mode: report` on '{}'", bucket.policy().name)});
    }
    if (request_.probe == Probe::yes) {
      if (auto probed = probe(store.directory.path); !probed) return failed(name, probed.error());
    }
    auto held = workspace_->hold(bucket);
    if (!held) return failed(name, held.error());
    ok(name, request_.probe == Probe::yes ? "a file was written and deleted" : "the permission is there, and nobody else is deleting");
  }

  // Writes and removes one file under .heimdall-storage/, the only place where we ever write.
  static Result<void> probe(const std::filesystem::path& root) {
    const std::filesystem::path directory = root / ".heimdall-storage";
    const std::filesystem::path file = directory / format("probe-{:016x}", random_u64());
    std::error_code error;
    const bool created = std::filesystem::create_directory(directory, error);
    if (error) return system_error(error.value(), format("cannot create '{}'", directory.string()));
    {
      TRY_ASSIGN(const UniqueFd fd, open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, "probe"));
    }
    if (unlink(file.c_str()) != 0) return system_error(errno, format("cannot delete '{}'", file.string()));
    if (created) rmdir(directory.c_str());
    return {};
  }

  bool check_source(BucketWorkspace& bucket, std::size_t i) {
    const SourceBinding& binding = bucket.sources()[i];
    const std::string name = format("references.{}.{}", bucket.policy().name, i + 1);
    auto identity = binding.source->identity();
    if (!identity) {
      failed(name, with_context(identity.error(), format("'{}'", binding.policy->name)));
      return false;
    }
    if (!binding.source->can_read_again()) {
      warning(name, "standard input is not read by doctor; it serves `scan` and `plan` only", "name a file to check it");
      return false;
    }
    const auto form = recheck_form(binding);
    if (!form) {
      failed(name, form.error());
      return false;
    }
    const bool lookup = *form == RecheckForm::lookup;
    ok(name, format("'{}' can be read from {}; each batch {}", binding.policy->name, identity->database,
                    lookup ? "asks an index again" : "is rechecked by reading all of it again (`as: key` or `as: uri` and an "
                                                     "index on the column would make that cheap)"));
    return true;
  }

  void check_mapping(BucketWorkspace& bucket, ObjectReader& reader) {
    const BucketPolicy& policy = bucket.policy();
    const std::string name = "mapping." + policy.name;
    auto findings = examine(bucket, reader);
    if (!findings) return failed(name, findings.error());
    for (const RangeFailure& failure : findings->failures) failed("listing." + policy.name, failure.error);
    for (std::size_t i = 0; i < findings->sources.size(); ++i) {
      describe_source(name, *findings, i);
    }
    const auto baseline = workspace_->state().baseline(policy.name);
    if (!baseline) return failed(name, baseline.error());
    JudgeInput input{*findings, policy, *baseline, {}, clock_.now(), findings->clock_skew};
    for (const Refusal& refusal : judge(input)) {
      report_({format("guard.{}.{}", policy.name, name_of(refusal.guard)), Check::Status::failed, refusal.message,
               format("if this is as it should be: --accept {}", name_of(refusal.guard))});
    }
  }

  Result<Findings> examine(BucketWorkspace& bucket, ObjectReader& reader) {
    const BucketPolicy& policy = bucket.policy();
    const std::filesystem::path scratch = workspace_->scratch("doctor");
    TRY_ASSIGN(const Timestamp started, reader.server_time());
    const auto skew = started - clock_.now();
    progress_.begin("references", policy.name, std::nullopt);
    auto snapshot =
        take_snapshot(bucket.sources(), policy.prefixes, scratch.string() + ".snapshot", random_u64(), progress_, stop_);
    progress_.end();
    TRY(snapshot);
    progress_.begin("listing", policy.name, std::nullopt);
    ScanOptions options;
    options.scratch = scratch;
    options.ledger = scratch.string() + ".no-ledger";
    options.started = started;
    auto findings = scan(reader, *snapshot, policy, options, progress_, stop_);
    progress_.end();
    if (findings) findings->clock_skew = skew;
    return findings;
  }

  // "98.7 % of 41,200 references hit an object; 3 have another shape, e.g. ..."
  void describe_source(const std::string& name, const Findings& findings, std::size_t i) {
    const SourceFacts& facts = findings.sources[i];
    const std::uint64_t hits = findings.source_hits[i];
    std::string text = format("'{}': {} of {} hit an object", facts.name, percent_of(hits, facts.distinct_keys),
                              count_of(facts.distinct_keys, "reference"));
    if (facts.distinct_keys > hits) text += format("; {} dangling", with_thousands(facts.distinct_keys - hits));
    const auto usual = static_cast<std::size_t>(
        std::max_element(facts.by_shape.begin() + 1, facts.by_shape.end()) - facts.by_shape.begin());
    for (std::size_t shape = 1; shape < facts.by_shape.size(); ++shape) {
      if (facts.by_shape[shape] == 0) continue;
      text += format("; {} {} {}", with_thousands(facts.by_shape[shape]), facts.by_shape[shape] == 1 ? "is" : "are",
                     to_string(static_cast<Shape>(shape)));
      if (shape != usual) text += format(", e.g. '{}'", elide_middle(printable(facts.shape_examples[shape]), 60));
    }
    if (facts.blank > 0) text += format("; {} blank", with_thousands(facts.blank));
    if (facts.other_bucket > 0) text += format("; {} of other buckets", with_thousands(facts.other_bucket));
    if (facts.outside_prefixes > 0) text += format("; {} outside the prefixes", with_thousands(facts.outside_prefixes));
    if (facts.unmapped > 0) {
      return warning(name, text + format("; {} cannot be mapped, e.g. {}", with_thousands(facts.unmapped),
                                         facts.unmapped_examples.front()),
                     "correct `as:`, `base_urls:` or `ignore_buckets:` of this reference");
    }
    ok(name, std::move(text));
  }

  const Config& config_;
  const DoctorRequest& request_;
  Clock& clock_;
  Progress& progress_;
  const std::function<void(const Check&)>& report_;
  std::stop_token stop_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace

void doctor(const Config& config, const DoctorRequest& request, Clock& clock, Progress& progress,
            const std::function<void(const Check&)>& report, std::stop_token stop) {
  Doctor(config, request, clock, progress, report, std::move(stop)).run();
}

}  // namespace heimdall
