#include "cli/terminal_progress.h"

#include <unistd.h>

#include <cstdio>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

using namespace std::chrono_literals;

constexpr auto kBarInterval = 200ms;
constexpr auto kLineInterval = 30s;

void write_stderr(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

TerminalProgress::Style TerminalProgress::style_of_stderr() {
  return isatty(STDERR_FILENO) == 1 ? Style::bar : Style::lines;
}

TerminalProgress::~TerminalProgress() { erase(); }

void TerminalProgress::begin(std::string_view phase, std::string_view bucket, std::optional<std::uint64_t> expected) {
  const std::scoped_lock lock(mutex_);
  if (!phases_.empty()) phases_.back().done = done_;
  phases_.push_back({format("{} {}", bucket, phase), expected, std::chrono::steady_clock::now()});
  done_ = 0;
  draw_next(phases_.back().begun);
}

void TerminalProgress::advance(std::uint64_t count) {
  done_ += count;
  if (style_ == Style::none) return;
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now.time_since_epoch().count() < next_draw_.load(std::memory_order_relaxed)) return;
  const std::scoped_lock lock(mutex_);
  if (now.time_since_epoch().count() < next_draw_) return;
  draw(now);
}

void TerminalProgress::end() {
  const std::scoped_lock lock(mutex_);
  erase();
  if (!phases_.empty()) phases_.pop_back();
  done_ = phases_.empty() ? 0 : phases_.back().done;
}

void TerminalProgress::warn(std::string_view message) {
  const std::scoped_lock lock(mutex_);
  erase();
  write_stderr(format("warning: {}\n", message));
}

// The rate is that of the whole phase: steadier than a moment's. No estimate is better than a wrong one.
std::string TerminalProgress::line(const Phase& phase, std::uint64_t done, SteadyTime now) {
  const double seconds = std::max(std::chrono::duration<double>(now - phase.begun).count(), 0.001);
  const double rate = static_cast<double>(done) / seconds;
  const std::uint64_t expected = phase.expected.value_or(0);
  std::string text = format("{}: {}", phase.label, with_thousands(done));
  if (expected > 0 && expected >= done) {
    text += format(" of about {} ({:.0f} %)", with_thousands(expected), 100.0 * static_cast<double>(done) / static_cast<double>(expected));
  }
  text += format(", {}/s", with_thousands(static_cast<std::uint64_t>(rate)));
  if (expected > done && rate > 0) {
    const std::chrono::duration<double> left(static_cast<double>(expected - done) / rate);
    text += format(", about {} left", human_duration(std::chrono::duration_cast<std::chrono::nanoseconds>(left)));
  }
  return text;
}

void TerminalProgress::draw_next(SteadyTime now) {
  const auto interval = style_ == Style::bar ? std::chrono::nanoseconds(kBarInterval) : kLineInterval;
  next_draw_ = (now + interval).time_since_epoch().count();
}

void TerminalProgress::draw(SteadyTime now) {
  if (phases_.empty()) return;
  const std::string text = line(phases_.back(), done_, now);
  if (style_ == Style::bar) {
    erase();
    write_stderr(elide_middle(text, 79));
    drawn_ = true;
  } else {
    write_stderr(text + "\n");
  }
  draw_next(now);
  std::fflush(stderr);
}

void TerminalProgress::erase() {
  if (!drawn_) return;
  write_stderr("\r\033[K");
  drawn_ = false;
}

}  // namespace heimdall
