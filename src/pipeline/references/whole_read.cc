#include "pipeline/references/whole_read.h"

#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

class CountedSink final : public RowSink {
 public:
  explicit CountedSink(RowSink& sink) : sink_(sink) {}
  Result<void> add(std::span<const ReferenceRow> rows) override {
    count_ += rows.size();
    return sink_.add(rows);
  }
  std::uint64_t count() const { return count_; }

 private:
  RowSink& sink_;
  std::uint64_t count_ = 0;
};

Result<ReadSummary> believed(Result<ReadSummary> summary, const CountedSink& sink, const SourceBinding& binding) {
  const std::string& name = binding.policy->name;
  if (!summary) return with_context(std::move(summary).error(), format("references '{}'", name));
  if (summary->rows == sink.count()) return summary;
  return Error{ErrorCode::corrupt, format("references '{}': the source says {} and handed over {}", name, count_of(summary->rows, "row"), with_thousands(sink.count()))};
}

}  // namespace

Result<ReadSummary> read_whole(const SourceBinding& binding, RowSink& sink, std::stop_token stop) {
  CountedSink counted(sink);
  return believed(binding.source->read(counted, std::move(stop)), counted, binding);
}

Result<ReadSummary> look_up_whole(const SourceBinding& binding, std::span<const std::string> values, RowSink& sink, std::stop_token stop) {
  CountedSink counted(sink);
  return believed(binding.source->lookup(values, counted, std::move(stop)), counted, binding);
}

}  // namespace heimdall
