#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/run_report.h"

namespace heimdall {

// A key whose intent is written and whose outcome is not.
struct InDoubt {
  std::string run_id;
  std::string bucket;
  std::string bucket_identity;
  ObjectMeta object;
  Timestamp sent_at{};  // not before its request left
};

// The write-ahead record of every deletion. Thread-safe. Every error means: nothing of this call is durable, stop sending.
class JournalLog {
 public:
  virtual ~JournalLog() = default;

  // Durable when it returns: these objects are about to be deleted, their outcome is in doubt from now on.
  virtual Result<void> intend(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity,
                              std::span<const ObjectMeta> objects) = 0;

  // What became of them; also for objects that never had an intent (skipped). Durable with the next intend() or flush().
  virtual Result<void> record(std::string_view run_id, std::span<const Deletion> deletions) = 0;

  // Makes every record() durable.
  virtual Result<void> flush() = 0;

  // Everything in doubt, of all runs, or of one bucket identity if that is not empty.
  virtual Result<std::vector<InDoubt>> in_doubt(std::string_view bucket_identity) = 0;

  // Calls `visit` for each deletion of a run in the order of the journal, until it returns an error.
  virtual Result<void> deletions(std::string_view run_id, const std::function<Result<void>(const Deletion&)>& visit) = 0;
};

}  // namespace heimdall
