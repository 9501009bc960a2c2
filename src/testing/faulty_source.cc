#include "testing/faulty_source.h"

#include <algorithm>
#include <vector>

namespace heimdall::testing {

namespace {

Error lost() { return Error{ErrorCode::unavailable, "a planned fault: the source did not answer in time"}; }

}  // namespace

bool FaultySource::strikes(SourceCall verb) {
  if (plan_.verb != SourceCall::any && plan_.verb != verb) return false;
  return ++calls_ == plan_.call;
}

bool FaultySource::fails(SourceCall verb) {
  return strikes(verb) && (plan_.fault == SourceFault::error || plan_.fault == SourceFault::timeout_after_effect);
}

Result<SourceIdentity> FaultySource::identity() {
  if (fails(SourceCall::identity)) return lost();
  return inner_.identity();
}

Result<LookupCost> FaultySource::lookup_cost() {
  if (fails(SourceCall::lookup_cost)) return lost();
  return inner_.lookup_cost();
}

Result<void> FaultySource::wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) {
  if (fails(SourceCall::wait_for_writers)) return lost();
  return inner_.wait_for_writers(mark, patience, std::move(stop));
}

Result<ReadSummary> FaultySource::read(RowSink& sink, std::stop_token stop) {
  if (!strikes(SourceCall::read)) return inner_.read(sink, std::move(stop));
  if (plan_.fault == SourceFault::error) return lost();
  RowCollector rows;
  auto summary = inner_.read(rows, std::move(stop));
  return spoil(std::move(summary), rows, sink);
}

Result<ReadSummary> FaultySource::lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) {
  if (!strikes(SourceCall::lookup)) return inner_.lookup(values, sink, std::move(stop));
  if (plan_.fault == SourceFault::error) return lost();
  RowCollector rows;
  auto summary = inner_.lookup(values, rows, std::move(stop));
  return spoil(std::move(summary), rows, sink);
}

Result<ReadSummary> FaultySource::spoil(Result<ReadSummary> summary, const RowCollector& collected, RowSink& sink) const {
  TRY(summary);
  std::vector<ReferenceRow> rows;
  for (const FakeRow& row : collected.rows()) rows.push_back({row.value, row.bucket});
  if (plan_.fault == SourceFault::reordered_rows) std::ranges::reverse(rows);
  if (plan_.fault == SourceFault::truncated) rows.resize(rows.size() / 2);
  TRY(sink.add(rows));
  if (plan_.fault == SourceFault::truncated) {
    return Error{ErrorCode::corrupt, "a planned fault: the source ended in the middle"};
  }
  if (plan_.fault == SourceFault::timeout_after_effect) return lost();
  if (plan_.fault == SourceFault::duplicated_rows) {
    TRY(sink.add(rows));
    summary->rows *= 2;
  }
  return summary;
}

}  // namespace heimdall::testing
