#include "app/doctor.h"

#include <algorithm>

#include "app/workspace.h"
#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "pipeline/judge.h"
#include "pipeline/sweep/recheck.h"
#include "pipeline/listing/scan.h"
#include "pipeline/tree_links.h"

namespace heimdall {

namespace {

std::string percent_of(std::uint64_t part, std::uint64_t whole) {
  return format("{:.1f} %", whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

// What most often is behind a guard that refuses.
std::string_view advice_on(Guard guard) {
  switch (guard) {
    case Guard::no_references: return "check that the query reads the right table of the right database; a source that may be empty says `may_be_empty: true`";
    case Guard::references_fell: return "find out who removed the rows";
    case Guard::match_rate: return "compare a row with a key of the bucket, and set `as:`, `base_urls:` or `aliases:` so that they meet";
    case Guard::orphan_ratio:
    case Guard::unreferenced_class: return "is there a table that refers to them? Add it to `references:`, or name them in `protect:`";
    case Guard::unmapped_references: return "correct `as:`, `base_urls:` or `ignore_buckets:` of this reference";
    case Guard::near_miss: return "correct the spelling in the rows, or the mapping";
    case Guard::partial_query: return "take LIMIT, OFFSET, FETCH or TABLESAMPLE out of the query, or out of the view behind it";
    case Guard::identity_changed: return "check the address of the store and of the database";
    case Guard::stale_list: return "write the list anew";
    case Guard::clock_skew: return "set the clock";
    case Guard::max_deletes:
    case Guard::max_bytes:
    case Guard::recheck_blind: return "look at the plan first";
  }
  return "look at the plan first";
}

class Doctor {
 public:
  Doctor(const Config& config, const DoctorRequest& request, Clock& clock, Progress& progress,
         const std::function<void(const Check&)>& report, std::stop_token stop, StoreTraffic* traffic)
      : config_(config), request_(request), clock_(clock), progress_(progress), take_(report), stop_(std::move(stop)), traffic_(traffic) {}

  void run() {
    ok("configuration", format("'{}' has {} and {}", config_.path.string(), count_of(config_.stores.size(), "store"),
                               count_of(config_.buckets.size(), "bucket")));
    auto opened = Workspace::open(config_, request_.buckets, clock_, traffic_, stop_);
    if (!opened) return failed("state", opened.error());
    workspace_ = std::move(*opened);
    for (const std::string& warning : workspace_->warnings()) this->warning("state", warning, "");
    ok("state", format("'{}' can be written to", workspace_->directory().root().string()));
    check_clock();
    for (BucketWorkspace& bucket : workspace_->buckets()) {
      if (!stop_.stop_requested()) check_bucket(bucket);
    }
  }

 private:
  // What was given up tells nothing about what it asked.
  void report(const Check& check) const {
    if (!stop_.stop_requested()) take_(check);
  }
  void ok(std::string name, std::string message) { report({std::move(name), Check::Status::ok, std::move(message), ""}); }
  void warning(std::string name, std::string message, std::string fix) {
    report({std::move(name), Check::Status::warning, std::move(message), std::move(fix)});
  }
  void failed(std::string name, const Error& error) {
    report({std::move(name), Check::Status::failed, error.message,
             error.hint.empty() ? "see the message" : error.hint});
  }

  void check_clock() {
    const auto anchor = workspace_->state().clock_anchor();
    if (!anchor) return failed("clock", anchor.error());
    const auto step = clock_step(*anchor, clock_);
    if (std::chrono::abs(step) > kMaxClockSkew) {
      return failed("clock", {ErrorCode::failed_precondition,
                              format("the clock was stepped by {} since the last run", human_duration(step)),
                              "set it right; if it is right now, run `scan --accept clock_skew` once"});
    }
    ok("clock", "the clock has not been stepped since the last run");
  }

  void check_bucket(BucketWorkspace& bucket) {
    const std::string& name = bucket.policy().name;
    const bool reachable = check_store(bucket);
    if (reachable) check_facts(bucket);
    if (reachable) check_looking(bucket);
    check_deleting(bucket);
    bool readable = reachable;
    for (std::size_t i = 0; i < bucket.sources().size(); ++i) readable = check_source(bucket, i) && readable;
    if (readable) check_mapping(bucket, **bucket.reader());
    else warning("mapping." + name, "not tried, because the store or a reference cannot be read", "mend these first");
  }

  // Whether the bucket can be reached, and its clock agrees with ours.
  bool check_store(BucketWorkspace& bucket) {
    const std::string name = "store." + bucket.config().store;
    auto reader = bucket.reader();
    if (!reader) return failed(name, reader.error()), false;
    const auto identity = (*reader)->identity();
    if (!identity) return failed(name, identity.error()), false;
    ok(name, format("can be reached: {}", *identity));
    const auto now = (*reader)->server_time();
    if (!now) return failed(name, now.error()), false;
    const auto skew = *now - clock_.now();
    if (std::chrono::abs(skew) > kMaxClockSkew) {
      failed("clock." + bucket.config().store,
             {ErrorCode::failed_precondition,
              format("the clocks differ: the store's is {} {} this machine's", human_duration(std::chrono::abs(skew)),
                     skew > std::chrono::nanoseconds(0) ? "ahead of" : "behind"),
              "set the wrong one (NTP: `timedatectl set-ntp true`); ages count by the store's clock, and runs are refused (clock_skew)"});
    }
    return true;
  }

  // How the bucket is kept: what a delete means there.
  void check_facts(BucketWorkspace& bucket) {
    const std::string& name = bucket.policy().name;
    const auto facts = (*bucket.reader())->facts();
    if (!facts) return failed("bucket." + name, facts.error());
    using Versioning = StoreFacts::Versioning;
    if (facts->versioning == Versioning::enabled) {
      warning("versioning." + name, "versioning is on: a delete only hides an object behind a marker (it can be undone), and no space comes back",
              "add a lifecycle rule NoncurrentVersionExpiration to the bucket, or delete old versions yourself; to get space back at once, "
              "switch versioning off before objects are written");
    } else if (facts->versioning == Versioning::suspended) {
      warning("versioning." + name, "versioning is suspended: objects written since then are deleted for good, older ones are hidden behind a marker",
              "decide for one of both: switch versioning on again, or remove old versions");
    }
    if (facts->object_lock) {
      warning("object_lock." + name, "object lock is on: deletes make markers, and locked versions stay until their retention ends",
              "expect no space back before that");
    }
    if (facts->expiry_rules > 0) {
      warning("lifecycle." + name, format("the bucket has {} that deletes objects by itself", count_of(facts->expiry_rules, "lifecycle rule")),
              "check that it cannot delete what rows refer to; it does not ask the database");
    }
    for (const std::string& sentence : facts->not_told) {
      warning("bucket." + name, sentence, "grant it to the planning credentials, or live with not knowing");
    }
  }

  // Who may list need not be allowed to look at single objects, under all prefixes or some. With the keys for planning: a sweep looks with these, too.
  void check_looking(BucketWorkspace& bucket) {
    const BucketPolicy& policy = bucket.policy();
    ObjectReader& reader = **bucket.reader();
    for (const std::string& prefix : policy.prefixes) {
      const auto found = reader.head(ObjectKey(key_to_look_at(reader, prefix)));
      if (found || found.error().code == ErrorCode::not_found) continue;
      const std::string name = "objects." + policy.name;
      if (policy.mode != Mode::report) {
        return failed(name, with_context(found.error(), "each object is looked at just before it is deleted, so none would be"));
      }
      return warning(name, format("`explain` and `scan --dangling` look at single objects, and would fail: {}", found.error().message), found.error().hint);
    }
  }

  // The first object, or where none is to be seen a key that cannot be there: to that one a server may say "not there" whatever is allowed. What keeps the
  // prefix from being listed is told where all is listed.
  static std::string key_to_look_at(ObjectReader& reader, const std::string& prefix) {
    const std::string absent = format("{}heimdall-storage-{:016x}", prefix, random_u64());
    const auto listing = reader.list({prefix, "", ""});
    if (!listing) return absent;
    ObjectPage page;
    for (;;) {
      const auto status = (*listing)->next(page);
      if (status && !page.empty()) return std::string(page[0].key);
      if (!status || *status == PageStatus::last) return absent;
    }
  }

  void check_deleting(BucketWorkspace& bucket) {
    const std::string name = "delete." + bucket.policy().name;
    if (bucket.policy().mode == Mode::report) {
      return ok(name, "`mode: report`: nothing in this bucket is ever deleted");
    }
    // Whoever may only look must not stand in the way of a sweep.
    if (request_.deleting == TryDeleting::no) return ok(name, "`mode: delete`; whether it is allowed to is not tried here: `heimdall-storage doctor` does");
    auto held = workspace_->hold(bucket);
    if (!held && held.error().code == ErrorCode::locked) return warning(name, held.error().message, "try again when the sweep has ended");
    if (!held) return failed(name, held.error());
    const bool writes = request_.probe == Probe::yes;
    auto facts = held->store().try_deleting(writes ? TryBy::writing : TryBy::asking);
    if (!facts) {
      Error error = std::move(facts).error();
      if (error.code == ErrorCode::permission_denied) {
        error.hint += format("{}or set `mode: report` on '{}'", error.hint.empty() ? "" : ", ", bucket.policy().name);
      }
      return failed(name, error);
    }
    if (!writes) return ok(name, "the permission is there, and nobody else is deleting");
    ok(name, format("an object of ours was written and deleted{}",
                    facts->honours_if_match ? "; this server refuses to delete what was rewritten (If-Match)" : ""));
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
    ok(name, format("'{}' can be read from {}; each batch {}", binding.policy->name, identity->database,
                    *form == RecheckForm::lookup ? std::string("asks an index again")
                                                 : "is rechecked by reading all of it again" + why_whole(bucket, i)));
    return true;
  }

  // What would make the recheck of a source cheap; empty for lists, which are always read whole.
  std::string why_whole(BucketWorkspace& bucket, std::size_t i) const {
    const ReferenceConfig& reference = bucket.config().references[i];
    if (reference.kind == ReferenceKind::list) return "";
    const auto cost = bucket.sources()[i].source->lookup_cost();
    if (!cost) return "";
    if (*cost == LookupCost::unsupported) return " (JSON, two columns and what is no plain text column are always read whole)";
    if (!is_invertible(bucket.policy().sources[i].mapping)) {
      return " (`as: key` or `as: uri`, without companions that drop a part of the key, would make that cheap)";
    }
    return " (an index on the column would make that cheap)";
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
      report({format("guard.{}.{}", policy.name, name_of(refusal.guard)), Check::Status::failed, refusal.message,
               format("{}; if this is as it should be: --accept {}", advice_on(refusal.guard), name_of(refusal.guard))});
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
    TRY(findings);
    findings->clock_skew = skew;
    if (const auto checked = check_links(*findings, bucket.sources(), *snapshot, stop_); !checked) failed("links." + policy.name, checked.error());
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
  const std::function<void(const Check&)>& take_;
  std::stop_token stop_;
  StoreTraffic* traffic_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace

void doctor(const Config& config, const DoctorRequest& request, Clock& clock, Progress& progress,
            const std::function<void(const Check&)>& report, std::stop_token stop, StoreTraffic* traffic) {
  Doctor(config, request, clock, progress, report, std::move(stop), traffic).run();
}

}  // namespace heimdall
