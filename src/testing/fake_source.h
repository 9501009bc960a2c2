#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ports/reference_source.h"

namespace heimdall::testing {

struct FakeRow {
  std::string value;
  std::optional<std::string> bucket = std::nullopt;
  auto operator<=>(const FakeRow&) const = default;
};

// What a FakeSource holds and how it behaves; a test may change it between and, by the hooks, during calls.
struct FakeSourceData {
  std::vector<FakeRow> rows = {};
  SourceIdentity identity = {"fake:1", "fake_table", 0};
  WriterMark writers = {};  // what a read finds; wait_for_writers() of a mark that is still this one runs out of patience
  std::optional<Timestamp> as_of = std::nullopt;
  std::optional<std::string> partial = std::nullopt;
  LookupCost lookup_cost = LookupCost::indexed;
  bool can_read_again = true;
  bool looks_up_keys = false;
  std::size_t batch_size = 1024;
  std::function<void()> before_read = {};    // at the beginning of read() and lookup(), before their snapshot
  std::function<void()> after_rows = {};     // after their last row, before they return
  std::function<void()> before_wait = {};
};

// References in memory. Not thread-safe.
class FakeSource final : public ReferenceSource {
 public:
  explicit FakeSource(FakeSourceData data = {}) : data_(std::move(data)) {}
  // Of plain values.
  explicit FakeSource(const std::vector<std::string>& values);

  FakeSourceData& data() { return data_; }
  void add(std::string value) { data_.rows.push_back({std::move(value)}); }
  // Takes away every row of that value.
  void remove(std::string_view value);

  std::uint64_t reads() const { return reads_; }
  std::uint64_t lookups() const { return lookups_; }
  // All values that were ever looked up, in order.
  const std::vector<std::string>& looked_up() const { return looked_up_; }

  Result<SourceIdentity> identity() override { return data_.identity; }
  Result<ReadSummary> read(RowSink& sink, std::stop_token stop) override;
  bool can_read_again() const override { return data_.can_read_again; }
  Result<LookupCost> lookup_cost() override { return data_.lookup_cost; }
  bool looks_up_keys() const override { return data_.looks_up_keys; }
  Result<ReadSummary> lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) override;
  Result<void> wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) override;

 private:
  Result<ReadSummary> hand_over(const std::vector<FakeRow>& rows, RowSink& sink, const std::stop_token& stop);

  FakeSourceData data_;
  std::uint64_t reads_ = 0;
  std::uint64_t lookups_ = 0;
  std::vector<std::string> looked_up_;
};

// Keeps all rows it is given.
class RowCollector final : public RowSink {
 public:
  Result<void> add(std::span<const ReferenceRow> rows) override;
  const std::vector<FakeRow>& rows() const { return rows_; }
  std::vector<std::string> values() const;

 private:
  std::vector<FakeRow> rows_;
};

}  // namespace heimdall::testing
