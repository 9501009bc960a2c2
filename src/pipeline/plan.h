#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/guard.h"
#include "model/policy.h"
#include "model/run_report.h"
#include "pipeline/findings.h"
#include "pipeline/judge.h"

namespace heimdall {

inline constexpr std::string_view kPlanKind = "plan";
inline constexpr std::uint32_t kPlanVersion = 3;
inline constexpr auto kPlanLifetime = std::chrono::hours(24);

// One object that a plan would delete.
struct Candidate {
  ObjectMeta object;
  Timestamp first_seen{};
};

// What a plan says about one bucket; its candidates stay in the file.
struct BucketPlan {
  std::string bucket;
  std::string bucket_identity;
  std::string policy_digest;
  Timestamp started{};  // the cutoff: server time before the snapshot
  std::chrono::milliseconds min_age{};
  std::chrono::milliseconds grace{};
  BucketFigures figures;
  std::vector<SourceFacts> sources;
  std::vector<RecheckForm> recheck_forms;          // parallel to sources
  std::chrono::nanoseconds references_read_in{};   // what one recheck that reads them whole costs
  std::uint64_t ranges = 0;  // into which the listing was cut: checked to tile the prefixes, each listed to its end but for
  std::uint64_t unlisted_ranges = 0;  // these: nothing of them is planned, and how many references have no object is not known
  std::uint64_t candidates = 0;
  std::uint64_t candidate_bytes = 0;
};

// A sealed list of candidates with the evidence: immutable, hashed, powerless (docs/formats/plan.md). The file stays where it is; this is its head.
class Plan {
 public:
  // Reads and proves the whole file. not_found, permission_denied; corrupt if it was cut or altered.
  static Result<Plan> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::string& digest() const { return digest_; }
  const std::string& run_id() const { return run_id_; }
  Timestamp created() const { return created_; }  // the earliest cutoff of its buckets
  Timestamp expires() const { return created_ + kPlanLifetime; }
  Selection::Grace grace() const { return grace_; }
  const std::vector<Guard>& accepted() const { return accepted_; }
  const std::vector<BucketPlan>& buckets() const { return buckets_; }
  std::uint64_t candidates() const;

  // Calls `visit` for every candidate, buckets in order, keys ascending, until it returns an error.
  Result<void> for_each(const std::function<Result<void>(const BucketPlan&, const Candidate&)>& visit) const;

 private:
  friend class PlanWriter;
  Plan() = default;
  std::filesystem::path path_;
  std::string digest_;
  std::string run_id_;
  Timestamp created_{};
  Selection::Grace grace_ = Selection::Grace::respect;
  std::vector<Guard> accepted_;
  std::vector<BucketPlan> buckets_;
};

// Why this object would be deleted, in one sentence.
std::string reason_of(const BucketPlan& bucket, const Candidate& candidate);

// What rechecking source number `source` will cost a sweep, and what to give instead if that is much; one sentence.
std::string recheck_cost_of(const BucketPlan& bucket, std::size_t source);

// The bytes that a plan of the selection would hold of the findings: known only once its limit has chosen.
Result<std::uint64_t> planned_bytes(const Findings& findings, const Selection& selection);

struct PlanOptions {
  std::string run_id;
  Selection selection;
  std::vector<Guard> accepted;  // guards overridden for this plan, by name
};

// Findings --judge--> Plan: writes and seals the file, then opens it. `findings` and `policies` are parallel; every bucket's guards passed
// or were accepted before. On an error no file is left.
Result<Plan> write_plan(const std::filesystem::path& path, std::span<const Findings* const> findings,
                        std::span<const BucketPolicy* const> policies, const PlanOptions& options);

}  // namespace heimdall
