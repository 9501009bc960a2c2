#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace heimdall {

// The dates of a list, in whole seconds, rounded down: as HEAD tells them (docs/adr/0016). Answers as parse_rfc3339() does, so nullopt for what is
// no date; the form in which servers write dates, "2026-11-23T00:14:16.123Z", is read much faster.
class ListDates {
 public:
  std::optional<Timestamp> read(std::string_view text);

 private:
  // The last day that was read: neighbours often have it in common.
  std::array<char, 10> day_text_ = {'1', '9', '7', '0', '-', '0', '1', '-', '0', '1'};
  Timestamp day_ = {};
};

}  // namespace heimdall
