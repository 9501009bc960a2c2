#include "base/line_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "base/watched_log.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class StandingClock final : public Clock {
 public:
  Timestamp now() const override { return Timestamp(std::chrono::milliseconds(1'795'626'000'123)); }  // 2026-11-25T17:00:00.123Z
  BootTime boot_now() const override { return {}; }
  std::string boot_id() const override { return "boot"; }
  void sleep_for(std::chrono::nanoseconds, std::stop_token) override {}
};

// A pipe that does not block when it is read, and what was written to it.
class Pipe {
 public:
  Pipe() {
    EXPECT_EQ(pipe(ends_), 0);
    EXPECT_EQ(fcntl(ends_[0], F_SETFL, O_NONBLOCK), 0);
  }
  ~Pipe() {
    close_reader();
    close(ends_[1]);
  }
  int writer() const { return ends_[1]; }
  void close_reader() {
    if (ends_[0] >= 0) close(ends_[0]);
    ends_[0] = -1;
  }
  std::string read_all() const {
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(ends_[0], buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<std::size_t>(n));
    return text;
  }

 private:
  int ends_[2] = {-1, -1};
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class LineLogTest : public ::testing::Test {
 protected:
  template <class Use>
  std::string written(LineLog::Options options, Use use) {
    LineLog log(pipe_.writer(), options, clock_);
    use(log);
    return pipe_.read_all();
  }
  static LineLog::Options json() { return {.level = LogLevel::debug, .format = LineLog::Format::json}; }

  StandingClock clock_;
  Pipe pipe_;
};

TEST_F(LineLogTest, a_line_for_people_has_time_level_event_message_and_fields) {
  EXPECT_EQ(written({}, [](Log& log) {
              log.info("run.started", "the run began", {{"run_id", "r-1"}, {"deleted", std::uint64_t{3}}, {"left", std::int64_t{-2}}, {"dry_run", true}, {"ratio", 0.5}});
            }),
            "2026-11-25T17:00:00.123Z info  run.started  the run began  run_id=r-1 deleted=3 left=-2 dry_run=true ratio=0.5\n");
  EXPECT_EQ(written({}, [](Log& log) { log.warning("service.stopping", "asked to stop"); }),
            "2026-11-25T17:00:00.123Z warning  service.stopping  asked to stop\n");
}

TEST_F(LineLogTest, values_that_could_be_misread_are_quoted) {
  const std::string line = written({}, [](Log& log) {
    log.info("e", "m", {{"empty", ""}, {"blank", "a b"}, {"quote", "say \"x\""}, {"equals", "a=b"}, {"slash", "a\\b"}, {"lines", "a\nb"}, {"plain", "s3://b/k.npy"}});
  });
  EXPECT_THAT(line, EndsWith(R"(empty="" blank="a b" quote="say \"x\"" equals="a=b" slash="a\\b" lines="a\nb" plain=s3://b/k.npy)" "\n"));
}

TEST_F(LineLogTest, no_key_can_drive_a_terminal_or_begin_a_line_of_its_own) {
  for (const auto format : {LineLog::Format::human, LineLog::Format::json}) {
    const std::string line = written({.format = format}, [](Log& log) {
      log.error("e", "key 'a\nb\033[2J'", {{"key", "\x1b]0;x\x07\xE2\x80\xAE\xC2\x9B\x7F\xff"}});
    });
    EXPECT_EQ(lines_of(line).size(), 1U) << line;
    EXPECT_TRUE(is_utf8(line));
    for (const char c : line) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << line;
    EXPECT_THAT(line, HasSubstr("\\u001b"));
    EXPECT_THAT(line, HasSubstr("\\u202e"));
    EXPECT_THAT(line, HasSubstr("\\u009b"));
    EXPECT_THAT(line, HasSubstr("\\u007f"));
    EXPECT_THAT(line, HasSubstr("\uFFFD"));
  }
}

TEST_F(LineLogTest, json_has_a_member_for_each_field) {
  EXPECT_EQ(written(json(), [](Log& log) {
              log.debug("object.deleted", "deleted \"k\"", {{"key", "ä\\"}, {"size_bytes", std::uint64_t{18446744073709551615U}}, {"ok", false}, {"rate", 1.5}});
            }),
            R"({"time":"2026-11-25T17:00:00.123Z","level":"debug","event":"object.deleted","message":"deleted \"k\"","key":"ä\\",)"
            R"("size_bytes":18446744073709551615,"ok":false,"rate":1.5})" "\n");
}

TEST_F(LineLogTest, numbers_that_json_does_not_know_are_null) {
  const std::string line = written(json(), [](Log& log) {
    log.info("e", "m", {{"a", std::numeric_limits<double>::infinity()}, {"b", std::nan("")}});
  });
  EXPECT_THAT(line, EndsWith("\"a\":null,\"b\":null}\n"));
}

TEST_F(LineLogTest, lines_below_the_level_are_dropped) {
  LineLog log(pipe_.writer(), {.level = LogLevel::warning}, clock_);
  log.info("e", "m");
  log.write(LogLevel::info, "e", "m", {});
  EXPECT_FALSE(log.takes(LogLevel::info));
  EXPECT_EQ(pipe_.read_all(), "");
  log.set_level(LogLevel::debug);
  log.debug("e", "m");
  EXPECT_THAT(pipe_.read_all(), HasSubstr("debug  e  m"));
}

TEST_F(LineLogTest, a_watched_log_tells_of_each_line_that_it_takes) {
  LineLog log(pipe_.writer(), {}, clock_);
  std::map<LogLevel, int> seen;
  WatchedLog watched(log, [&](LogLevel level) { ++seen[level]; });
  watched.debug("e", "m");
  watched.info("e", "m");
  watched.error("e", "m");
  watched.error("e", "m");
  EXPECT_THAT(seen, ElementsAre(std::pair(LogLevel::info, 1), std::pair(LogLevel::error, 2)));
}

TEST_F(LineLogTest, journald_gets_priorities_if_the_stream_is_its_own) {
  struct stat status {};
  ASSERT_EQ(fstat(pipe_.writer(), &status), 0);
  const auto environment = [&](const std::string& stream) {
    return [=](const std::string& name) { return name == "JOURNAL_STREAM" ? std::optional(stream) : std::nullopt; };
  };
  const auto options = LineLog::suited_to(pipe_.writer(), environment(format("{}:{}", status.st_dev, status.st_ino)));
  EXPECT_EQ(options.priorities, LineLog::Priorities::on);
  EXPECT_EQ(options.colours, LineLog::Colours::off);
  EXPECT_EQ(LineLog::suited_to(pipe_.writer(), environment("1:2")).priorities, LineLog::Priorities::off);

  LineLog::Options all = options;
  all.level = LogLevel::debug;
  const std::string text = written(all, [](Log& log) {
    log.debug("e", "m");
    log.info("e", "m");
    log.warning("e", "m");
    log.error("e", "m");
  });
  EXPECT_THAT(lines_of(text), ElementsAre(StartsWith("<7>2026"), StartsWith("<6>2026"), StartsWith("<4>2026"), StartsWith("<3>2026")));
}

TEST_F(LineLogTest, colours_are_for_the_level_alone) {
  EXPECT_EQ(written({.colours = LineLog::Colours::on}, [](Log& log) { log.error("e", "m"); }),
            "2026-11-25T17:00:00.123Z \033[31merror\033[0m  e  m\n");
}

TEST_F(LineLogTest, levels_are_known_by_name) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) EXPECT_EQ(log_level_named(to_string(level)), level);
  EXPECT_EQ(log_level_named("loud"), std::nullopt);
}

TEST_F(LineLogTest, a_closed_descriptor_is_not_an_error) {
  signal(SIGPIPE, SIG_IGN);
  LineLog log(pipe_.writer(), {}, clock_);
  pipe_.close_reader();
  log.info("e", "m");
  LineLog nowhere(-1, {}, clock_);
  nowhere.info("e", "m");
}

TEST_F(LineLogTest, a_pipe_that_nobody_reads_loses_lines_and_says_how_many) {
  LineLog log(pipe_.writer(), {}, clock_);
  const std::string message(1000, 'x');
  for (int i = 0; i < 200; ++i) log.info("e", message);
  EXPECT_LT(pipe_.read_all().size(), 100'000U);
  log.info("after", "read again");
  const auto lines = lines_of(pipe_.read_all());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], HasSubstr("after  read again"));
  EXPECT_THAT(lines[1], HasSubstr("log.lost"));
  EXPECT_THAT(lines[1], ::testing::MatchesRegex(".*lines=1[0-9][0-9]$"));
}

TEST_F(LineLogTest, lines_of_threads_never_mix) {
  std::string text;
  {
    LineLog log(pipe_.writer(), {}, clock_);
    std::jthread reader([&](std::stop_token stop) {
      while (!stop.stop_requested()) text += pipe_.read_all();
    });
    std::vector<std::jthread> writers;
    for (const char c : {'a', 'b', 'c', 'd'}) {
      writers.emplace_back([&log, c] {
        for (int i = 0; i < 50; ++i) log.info("e", std::string(static_cast<std::size_t>(100 * i), c));
      });
    }
  }
  text += pipe_.read_all();
  const auto lines = lines_of(text);
  ASSERT_EQ(lines.size(), 200U);
  for (const std::string& line : lines) {
    const std::string message = line.substr(line.find("e  ") + 3);
    EXPECT_EQ(message.find_first_not_of(message.empty() ? ' ' : message.front()), std::string::npos);
  }
}

}  // namespace
}  // namespace heimdall
