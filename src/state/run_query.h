#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "model/run_report.h"

namespace heimdall {

// Which runs of the history are wanted, newest first.
struct RunQuery {
  std::size_t limit = 20;
  std::string before = {};   // only those behind this run in the list: the last one of the page before; empty: from the newest
  std::string command = {};  // empty: any
  std::optional<RunStatus> status = std::nullopt;
  std::string bucket = {};   // that this run had to do with; empty: any
};

}  // namespace heimdall
