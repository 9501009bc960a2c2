#pragma once

#include <string>
#include <string_view>

#include "app/config/config.h"

namespace heimdall {

// Eight lines of configuration for tests to change: a directory, a SQLite database, one bucket. `more` begins line 8, among the keys of
// the bucket.
inline std::string config_text(std::string_view more = "") {
  return std::string(
             "stores:\n"
             "  media: {type: directory, path: ./media}\n"
             "databases: {app: {type: sqlite, path: ./app.db}}\n"
             "buckets:\n"
             "  - name: photos\n"
             "    store: media\n"
             "    references: [{database: app, query: SELECT key FROM photos}]\n")
      .append(more);
}

// `from` replaced by `to`, once.
inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

inline std::optional<std::string> no_environment(const std::string&) { return std::nullopt; }

inline Result<Config> parse_text(std::string_view text) { return parse_config(text, "/srv/h.yaml", no_environment); }

// What is wrong with `text`, a line each, without the name of the file; "accepted" if nothing is.
inline std::string problems_of(std::string_view text) {
  const Result<Config> config = parse_text(text);
  if (config) return "accepted";
  std::string message = config.error().message;
  constexpr std::string_view kFile = "/srv/h.yaml:";
  for (std::size_t at = message.find(kFile); at != std::string::npos; at = message.find(kFile)) message.erase(at, kFile.size());
  return message;
}

// What is wrong with the bucket once `line` is its eighth line (four blanks are added).
inline std::string problems_of_bucket(std::string_view line) { return problems_of(config_text("    " + std::string(line) + "\n")); }

// What is wrong with the one reference `{...}`, which begins at 7:18.
inline std::string problems_of_reference(std::string_view reference) {
  return problems_of(replaced(config_text(), "{database: app, query: SELECT key FROM photos}", reference));
}

}  // namespace heimdall
