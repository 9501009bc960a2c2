#include "model/run_report.h"

#include <array>

namespace heimdall {

namespace {

constexpr std::array<std::string_view, 6> kOutcomeNames = {"deleted",         "already_gone",    "failed",
                                                           "skipped_referenced", "skipped_changed", "in_doubt"};
constexpr std::array<std::string_view, 6> kRunStatusNames = {"running", "success", "partial",
                                                             "failed",  "refused", "interrupted"};

template <class Enum, std::size_t n>
std::optional<Enum> find_name(const std::array<std::string_view, n>& names, std::string_view name) {
  for (std::size_t i = 0; i < n; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Outcome outcome) { return kOutcomeNames.at(static_cast<std::size_t>(outcome)); }
std::optional<Outcome> outcome_named(std::string_view name) { return find_name<Outcome>(kOutcomeNames, name); }
std::string_view to_string(RunStatus status) { return kRunStatusNames.at(static_cast<std::size_t>(status)); }
std::optional<RunStatus> run_status_named(std::string_view name) { return find_name<RunStatus>(kRunStatusNames, name); }

void count(BucketFigures& figures, Outcome outcome, std::uint64_t size_bytes) {
  switch (outcome) {
    case Outcome::deleted:
      ++figures.orphans_deleted;
      figures.bytes_deleted += size_bytes;
      break;
    case Outcome::already_gone: ++figures.already_gone; break;
    case Outcome::failed:
    case Outcome::in_doubt: ++figures.deletion_failures; break;
    case Outcome::skipped_referenced: ++figures.skipped_referenced; break;
    case Outcome::skipped_changed: ++figures.skipped_changed; break;
  }
}

void set_outcomes(BucketFigures& figures, const BucketFigures& counted) {
  for (const auto member : {&BucketFigures::orphans_deleted, &BucketFigures::bytes_deleted, &BucketFigures::deletion_failures, &BucketFigures::skipped_referenced,
                            &BucketFigures::skipped_changed, &BucketFigures::already_gone}) {
    figures.*member = counted.*member;
  }
}

}  // namespace heimdall
