#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/reference.h"

namespace heimdall {

// Takes the rows of a source in batches. An error from it ends the read and is returned by it.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual Result<void> add(std::span<const ReferenceRow> rows) = 0;
};

// Who was writing when a snapshot was taken. Opaque but to its source.
struct WriterMark {
  std::string text;  // empty: nobody was
};

// What a read that ended cleanly knows about itself.
struct ReadSummary {
  std::uint64_t rows = 0;  // handed over, blanks included
  SourceIdentity identity;
  WriterMark writers;
  std::optional<Timestamp> as_of;          // lists: when the list was made. Objects newer than that are young.
  std::optional<std::string> partial;      // why the query cannot yield all rows ("LIMIT in the query"), else nullopt
};

// How a source answers lookup().
enum class LookupCost {
  indexed,      // cheap per batch
  full_scan,    // each call reads everything
  unsupported,  // lists, JSON: only a whole read tells
};

// A lock in the database behind a source, so that sweeps of one bucket on several hosts exclude each other (invariant 9).
// Released when destroyed. Thread-safe.
class SourceHold {
 public:
  virtual ~SourceHold() = default;
  // Asks the database, within two seconds. Once false it stays false: stop before the next request leaves.
  virtual bool still_held() = 0;
  // Whether the database has said something by itself, such as that it ends the session: then still_held() is to be asked at once. Costs nothing and asks nobody.
  virtual bool was_spoken_to() { return false; }
};

// A query, a table's column or a list that names objects. Not thread-safe; made once per run.
class ReferenceSource {
 public:
  virtual ~ReferenceSource() = default;

  // Proves that the source can be read and says what it is. not_found, permission_denied, unavailable,
  // invalid_argument (the database rejects the query).
  virtual Result<SourceIdentity> identity() = 0;

  // Whether the place of the rows is there for us, quickly: a few seconds at most. Errors as of identity(), which it is where that is quick, but for those
  // about the query: that is not looked at. cancelled.
  virtual Result<void> ping(const std::stop_token& /*stop*/) {
    TRY(identity());
    return {};
  }

  // Streams all rows of one consistent snapshot. Succeeds only after the source itself said that this was the end:
  // any error, time-out or truncation is an error, whatever was handed over before.
  virtual Result<ReadSummary> read(RowSink& sink, std::stop_token stop) = 0;

  // Whether read() can be called again later. False for a pipe.
  virtual bool can_read_again() const = 0;

  // unsupported sources get a whole read() at each recheck instead.
  virtual Result<LookupCost> lookup_cost() = 0;

  // True where lookup() is a query of the user's own that takes object keys, plain and as s3://bucket/key, and is believed whatever the
  // mapping; else it takes what the mapping's inverse says.
  virtual bool looks_up_keys() const { return false; }

  // The rows whose value is among `values`, from a snapshot taken after this call began. Same rules as read().
  virtual Result<ReadSummary> lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) = 0;

  // Returns once every transaction of `mark` has ended. `failed_precondition`, naming who is in the way, if that takes
  // longer than `patience`.
  virtual Result<void> wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) = 0;

  // Keeps sweeps on other hosts away from what `name` identifies. nullptr: this kind of source has no such lock. `locked` names the
  // holder if it can.
  virtual Result<std::unique_ptr<SourceHold>> hold(std::string_view /*name*/) { return std::unique_ptr<SourceHold>(); }
};

}  // namespace heimdall
