#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace heimdall {

// Where a run tells how far it is. Thread-safe; calls are cheap, the implementation decides what to show and when.
class Progress {
 public:
  virtual ~Progress() = default;
  // Starts a phase ("listing", "references", "sweep") of one bucket; `expected` is the total, from the last run or known.
  virtual void begin(std::string_view phase, std::string_view bucket, std::optional<std::uint64_t> expected) = 0;
  // `count` more items are done.
  virtual void advance(std::uint64_t count) = 0;
  virtual void end() = 0;
  // Something the user should know that is no failure.
  virtual void warn(std::string_view message) = 0;
};

class NoProgress final : public Progress {
 public:
  void begin(std::string_view, std::string_view, std::optional<std::uint64_t>) override {}
  void advance(std::uint64_t) override {}
  void end() override {}
  void warn(std::string_view) override {}
};

}  // namespace heimdall
