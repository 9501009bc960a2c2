#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>

#include "base/error.h"
#include "base/guarded.h"
#include "ports/reference_source.h"

namespace heimdall {

// Lets several threads add to a sink that takes one call at a time. After an error of the sink it gets no more, and every call fails with it.
// Thread-safe.
class SharedSink final : public RowSink {
 public:
  explicit SharedSink(RowSink& sink) : state_(State{&sink, {}}) {}
  Result<void> add(std::span<const ReferenceRow> rows) override;

 private:
  struct State {
    RowSink* sink = nullptr;
    Result<void> ended;
  };
  Guarded<State> state_;
};

// Calls `read` once for each part, with the number of the reader that does it: a reader has one part at a time, and is one thread. The calling
// thread is reader 0, the others are threads named "refs-reader". The first error ends it: the other readers are asked to stop by the token they
// were given, and it is returned once all of them have ended. cancelled, if `stop` was requested and a part not read for that.
using ReadPart = std::function<Result<void>(std::size_t reader, std::size_t part, const std::stop_token& stop)>;
Result<void> read_in_parallel(std::size_t readers, std::size_t parts, const std::stop_token& stop, const ReadPart& read);

}  // namespace heimdall
