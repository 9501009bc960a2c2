#include "base/line_log.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 4> kPriorities = {"<7>", "<6>", "<4>", "<3>"};       // of syslog
constexpr std::array<std::string_view, 4> kColours = {"\033[2m", "\033[32m", "\033[33m", "\033[31m"};
constexpr std::string_view kNoColour = "\033[0m";

// The longest that a line waits for a reader, and the most that goes into a pipe in one piece (PIPE_BUF of Linux): after poll() said that there is
// room, so much never blocks.
constexpr int kPatienceMs = 100;
constexpr std::size_t kPiece = 4096;

std::size_t index_of(LogLevel level) { return static_cast<std::size_t>(level); }

unsigned code_point(std::string_view c) {
  if (c.size() == 1) return static_cast<unsigned char>(c.front());
  unsigned code = static_cast<unsigned char>(c.front()) & (0xFFU >> (c.size() + 1));
  for (const char next : c.substr(1)) code = (code << 6U) | (static_cast<unsigned char>(next) & 0x3FU);
  return code;
}

void append_escaped(std::string& out, std::string_view c) {
  if (c == "\n") out += "\\n";
  else if (c == "\t") out += "\\t";
  else if (c == "\r") out += "\\r";
  else out += format("\\u{:04x}", code_point(c));
}

bool is_control(std::string_view c) {
  const auto byte = static_cast<unsigned char>(c.front());
  return c.size() == 1 ? byte < 0x20 || byte == 0x7F : is_invisible_control(c);
}

enum class Quotes { no, yes };

// Text as a string of JSON has it, which is how logfmt quotes, too.
void append_text(std::string& out, std::string_view text, Quotes quotes) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view c = text.substr(0, std::max<std::size_t>(length, 1));
    text.remove_prefix(c.size());
    if (length == 0) out += "\uFFFD";
    else if (is_control(c)) append_escaped(out, c);
    else if (quotes == Quotes::yes && (c == "\"" || c == "\\")) out.append("\\").append(c);
    else out += c;
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_text(out, text, Quotes::yes);
  out += '"';
}

// What can stand behind `=` as it is.
bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7F && c != '"' && c != '=' && c != '\\';
  });
}

struct AppendValue {
  std::string& out;
  LineLog::Format format;

  void operator()(const std::string& text) const {
    if (format == LineLog::Format::human && is_plain(text)) out += text;
    else append_quoted(out, text);
  }
  void operator()(double number) const {
    if (std::isfinite(number)) out += heimdall::format("{}", number);
    else out += "null";
  }
  void operator()(std::int64_t number) const { out += std::to_string(number); }
  void operator()(std::uint64_t number) const { out += std::to_string(number); }
  void operator()(bool yes) const { out += yes ? "true" : "false"; }
};

std::string time_text(Timestamp now) {
  std::string text = rfc3339(now);
  text.pop_back();
  const auto fraction = now - std::chrono::floor<std::chrono::seconds>(now);
  return text + format(".{:03}Z", std::chrono::floor<std::chrono::milliseconds>(fraction).count());
}

std::string human_line(Timestamp now, LogLevel level, LineLog::Colours colours, std::string_view event, std::string_view message,
                       std::span<const LogField> fields) {
  std::string line = time_text(now) + " ";
  if (colours == LineLog::Colours::on) line.append(kColours.at(index_of(level))).append(to_string(level)).append(kNoColour);
  else line += to_string(level);
  line += "  ";
  append_text(line, event, Quotes::no);
  line += "  ";
  append_text(line, message, Quotes::no);
  bool first = true;
  for (const LogField& field : fields) {
    line += first ? "  " : " ";
    first = false;
    line.append(field.name).append("=");
    std::visit(AppendValue{line, LineLog::Format::human}, field.value);
  }
  return line;
}

bool leads_to_journald(int fd, const Environment& environment) {
  const auto stream = environment("JOURNAL_STREAM");
  struct stat status {};
  return stream && fstat(fd, &status) == 0 && *stream == format("{}:{}", status.st_dev, status.st_ino);
}

}  // namespace

std::string json_log_line(Timestamp now, LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields) {
  std::string line = "{\"time\":";
  append_quoted(line, time_text(now));
  line += ",\"level\":";
  append_quoted(line, to_string(level));
  line += ",\"event\":";
  append_quoted(line, event);
  line += ",\"message\":";
  append_quoted(line, message);
  for (const LogField& field : fields) {
    line += ',';
    append_quoted(line, field.name);
    line += ':';
    std::visit(AppendValue{line, LineLog::Format::json}, field.value);
  }
  return line + "}";
}

std::string_view to_string(LogLevel level) { return kLevelNames.at(index_of(level)); }

std::optional<LogLevel> log_level_named(std::string_view name) {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

LineLog::Options LineLog::suited_to(int fd, const Environment& environment) {
  Options options;
  const bool plain = !environment("NO_COLOR").value_or("").empty() || environment("TERM").value_or("") == "dumb";
  if (!plain && isatty(fd) == 1) options.colours = Colours::on;
  if (leads_to_journald(fd, environment)) options.priorities = Priorities::on;
  return options;
}

std::string LineLog::line(LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields) const {
  std::string text(options_.priorities == Priorities::on ? kPriorities.at(index_of(level)) : "");
  text += options_.format == Format::json ? json_log_line(clock_.now(), level, event, message, fields)
                                          : human_line(clock_.now(), level, options_.colours, event, message, fields);
  return text + "\n";
}

void LineLog::write(LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields) {
  if (!takes(level)) return;
  const std::string text = line(level, event, message, fields);
  const std::scoped_lock lock(mutex_);
  if (!send(text)) {
    ++lost_;
  } else if (lost_ > 0) {
    const std::array<LogField, 1> lost = {LogField{"lines", lost_}};
    if (send(line(LogLevel::warning, "log.lost", "nobody took lines of this log for a while", lost))) lost_ = 0;
  }
}

// A reader that is only slow is waited for; one that let a line down is not waited for until it takes one again.
bool LineLog::send(std::string_view text) {
  std::string ended;
  if (cut_) text = ended.append("\n").append(text);
  const int patience = lost_ > 0 ? 0 : kPatienceMs;
  bool begun = false;
  while (!text.empty()) {
    pollfd ready{fd_, POLLOUT, 0};
    const int answer = poll(&ready, 1, patience);
    if (answer < 0 && errno == EINTR) continue;
    const ssize_t written = answer == 1 ? ::write(fd_, text.data(), std::min(text.size(), kPiece)) : -1;
    if (written < 0 && answer == 1 && errno == EINTR) continue;
    if (written <= 0) {
      cut_ = cut_ || begun;
      return false;
    }
    begun = true;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  cut_ = false;
  return true;
}

}  // namespace heimdall
