#include "testing/fake_source.h"

#include <algorithm>

namespace heimdall::testing {

FakeSource::FakeSource(const std::vector<std::string>& values) {
  for (const std::string& value : values) add(value);
}

void FakeSource::remove(std::string_view value) {
  std::erase_if(data_.rows, [&](const FakeRow& row) { return row.value == value; });
}

Result<ReadSummary> FakeSource::hand_over(const std::vector<FakeRow>& rows, RowSink& sink, const std::stop_token& stop) {
  // What it was when the snapshot was taken, whatever the sink or a hook does meanwhile.
  ReadSummary summary{rows.size(), data_.identity, data_.writers, data_.as_of, data_.partial};
  const std::size_t batch_size = std::max<std::size_t>(data_.batch_size, 1);
  for (std::size_t done = 0; done < rows.size(); done += batch_size) {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, "reading the fake source was stopped"};
    std::vector<ReferenceRow> batch;
    for (std::size_t i = done; i < std::min(rows.size(), done + batch_size); ++i) batch.push_back({rows[i].value, rows[i].bucket});
    TRY(sink.add(batch));
  }
  if (data_.after_rows) data_.after_rows();
  if (stop.stop_requested()) return Error{ErrorCode::cancelled, "reading the fake source was stopped"};
  return summary;
}

Result<ReadSummary> FakeSource::read(RowSink& sink, std::stop_token stop) {
  if (reads_ > 0 && !data_.can_read_again) {
    return Error{ErrorCode::failed_precondition, "the fake source can be read only once"};
  }
  ++reads_;
  if (data_.before_read) data_.before_read();
  return hand_over(std::vector<FakeRow>(data_.rows), sink, stop);
}

Result<ReadSummary> FakeSource::lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) {
  if (data_.lookup_cost == LookupCost::unsupported) {
    return Error{ErrorCode::failed_precondition, "single values cannot be looked up in the fake source"};
  }
  ++lookups_;
  looked_up_.insert(looked_up_.end(), values.begin(), values.end());
  if (data_.before_read) data_.before_read();
  std::vector<FakeRow> found;
  std::ranges::copy_if(data_.rows, std::back_inserter(found), [&](const FakeRow& row) {
    return std::ranges::find(values, row.value) != values.end();
  });
  return hand_over(found, sink, stop);
}

Result<void> FakeSource::wait_for_writers(const WriterMark& mark, std::chrono::milliseconds, std::stop_token stop) {
  if (data_.before_wait) data_.before_wait();
  if (mark.text.empty() || mark.text != data_.writers.text) return {};
  if (stop.stop_requested()) return Error{ErrorCode::cancelled, "waiting for the fake source was stopped"};
  return Error{ErrorCode::failed_precondition, "'" + mark.text + "' is still writing to the fake source"};
}

Result<void> RowCollector::add(std::span<const ReferenceRow> rows) {
  for (const ReferenceRow& row : rows) {
    FakeRow kept{std::string(row.value)};
    if (row.bucket) kept.bucket = std::string(*row.bucket);
    rows_.push_back(std::move(kept));
  }
  return {};
}

std::vector<std::string> RowCollector::values() const {
  std::vector<std::string> values;
  for (const FakeRow& row : rows_) values.push_back(row.value);
  return values;
}

}  // namespace heimdall::testing
