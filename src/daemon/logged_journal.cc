#include "daemon/logged_journal.h"

#include <string>

#include "base/text.h"

namespace heimdall {

namespace {

struct Words {
  std::string_view event, sentence;
};

Words words_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::deleted: return {"object.deleted", "an object was deleted"};
    case Outcome::already_gone: return {"object.already_gone", "an object was gone before it was to be deleted"};
    case Outcome::failed: return {"object.failed", "an object could not be deleted"};
    case Outcome::skipped_referenced: return {"object.skipped_referenced", "an object is referenced again and stays"};
    case Outcome::skipped_changed: return {"object.skipped_changed", "an object was changed and stays"};
    case Outcome::in_doubt: break;
  }
  return {"object.in_doubt", "what became of an object is not known yet"};
}

void log_deletion(Log& log, std::string_view run_id, const Deletion& deletion) {
  std::vector<LogField> fields = {{"run_id", std::string(run_id)},
                                  {"bucket", deletion.bucket},
                                  {"key", printable(deletion.object.key.bytes())},
                                  {"size_bytes", deletion.object.size_bytes},
                                  {"outcome", std::string(to_string(deletion.outcome))}};
  if (!deletion.error.empty()) fields.push_back({"error", deletion.error});
  const Words words = words_of(deletion.outcome);
  log.write(LogLevel::debug, words.event, words.sentence, fields);
}

}  // namespace

Result<void> LoggedJournal::record(std::string_view run_id, std::span<const Deletion> deletions) {
  TRY(journal_.record(run_id, deletions));
  if (told_) told_(run_id, deletions);
  const bool is_logged = log_.takes(LogLevel::debug);
  for (const Deletion& deletion : deletions) {
    if (deletion.outcome == Outcome::deleted) ++deleted_;
    if (is_logged) log_deletion(log_, run_id, deletion);
  }
  return {};
}

}  // namespace heimdall
