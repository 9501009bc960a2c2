#include "refs/list_source.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "testing/fake_clock.h"
#include "testing/fake_source.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using testing::RowCollector;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ListSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "heimdall-list-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = std::filesystem::canonical(pattern);
    options_.path = directory_ / "keys.txt";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // Content, and an mtime of an hour before the clock's time.
  void write(std::string_view content) {
    std::ofstream(options_.path, std::ios::binary | std::ios::trunc) << content;
    const auto time = std::chrono::duration_cast<std::chrono::seconds>((clock_.now() - 1h).time_since_epoch()).count();
    const std::array<timespec, 2> times = {timespec{time, 0}, timespec{time, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, options_.path.c_str(), times.data(), 0), 0);
  }
  Result<ReadSummary> read() {
    collector_ = RowCollector();
    return ListSource(options_, clock_).read(collector_, {});
  }
  Error refusal() {
    auto summary = read();
    EXPECT_FALSE(summary);
    return summary ? Error{} : summary.error();
  }

  std::filesystem::path directory_;
  ListSourceOptions options_;
  FakeClock clock_;
  RowCollector collector_;
};

TEST_F(ListSourceTest, a_line_is_a_row_and_nothing_is_trimmed) {
  write("a\n b \n\n\"c\"\nd\r\n\xff\n");
  const auto summary = read();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->rows, 6U);
  EXPECT_THAT(collector_.values(), ElementsAre("a", " b ", "", "\"c\"", "d\r", "\xff"));
  EXPECT_EQ(summary->identity.database, "list:" + options_.path.string());
  EXPECT_EQ(summary->identity.relations, "");
  EXPECT_EQ(summary->partial, std::nullopt);
}

// Invariant 2: standard input may be a file, too, and one that somebody still writes is no whole list.
TEST_F(ListSourceTest, a_file_on_standard_input_is_a_file) {
  write("a\nb\n");
  const UniqueFd file(::open(options_.path.c_str(), O_RDONLY));
  const auto path = options_.path;
  options_.path = "-";
  options_.input = file.get();
  const auto whole = read();
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_THAT(collector_.values(), ElementsAre("a", "b"));
  EXPECT_EQ(whole->as_of, clock_.now() - 1h);

  ASSERT_EQ(lseek(file.get(), 0, SEEK_SET), 0);
  collector_ = RowCollector();
  struct GrowingSink final : RowSink {
    const std::filesystem::path& path;
    explicit GrowingSink(const std::filesystem::path& at) : path(at) {}
    Result<void> add(std::span<const ReferenceRow>) override {
      std::ofstream(path, std::ios::binary | std::ios::app) << "c\n";
      return {};
    }
  } growing(path);
  const auto grown = ListSource(options_, clock_).read(growing, {});
  ASSERT_FALSE(grown);
  EXPECT_THAT(grown.error().message, HasSubstr("changed while it was read"));
}

TEST_F(ListSourceTest, nul_separated_keys_may_hold_line_feeds) {
  options_.separator = ListSeparator::nul;
  write(std::string("a\nb\0\0c\0", 7));
  ASSERT_TRUE(read());
  EXPECT_THAT(collector_.values(), ElementsAre("a\nb", "", "c"));
}

// Invariant 2: a cut list is not a short one.
TEST_F(ListSourceTest, a_last_line_without_its_end_is_a_cut_list) {
  write("a\nb\nsessions/c");
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::corrupt);
  EXPECT_THAT(error.message, HasSubstr("line 3 (\"sessions/c\")"));
  options_.separator = ListSeparator::nul;
  write("a\nb\n");
  EXPECT_EQ(refusal().code, ErrorCode::corrupt);
}

TEST_F(ListSourceTest, an_empty_list_is_a_list) {
  write("");
  EXPECT_EQ(read()->rows, 0U);
}

// Invariant 2: in UTF-16 no key would match, and behind a byte order mark the first one would not.
TEST_F(ListSourceTest, a_byte_order_mark_is_refused) {
  for (const char* start : {"\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"}) {
    write(std::string(start) + "a\nb\n");
    EXPECT_EQ(refusal().code, ErrorCode::corrupt);
  }
}

TEST_F(ListSourceTest, what_is_no_list_is_an_error) {
  EXPECT_EQ(refusal().code, ErrorCode::not_found);
  EXPECT_NE(refusal().hint, "");
  EXPECT_THAT(refusal().message, HasSubstr("keys.txt"));
  std::filesystem::create_directory(options_.path);
  EXPECT_EQ(refusal().code, ErrorCode::invalid_argument);
}

// Invariant 3: objects newer than the list are young, so its time must never be too late.
TEST_F(ListSourceTest, the_lists_time_is_given_or_the_files_and_never_in_the_future) {
  write("a\n");
  EXPECT_EQ(read()->as_of, clock_.now() - 1h);
  options_.taken_at = clock_.now() - 5h;
  EXPECT_EQ(read()->as_of, clock_.now() - 5h);
  options_.taken_at = clock_.now() + 5h;
  EXPECT_EQ(read()->as_of, clock_.now());
  options_.taken_at.reset();
  clock_.set_now(clock_.now() - 48h);
  EXPECT_EQ(read()->as_of, clock_.now());
}

// Does something in the middle of a read.
class MeddlingSink final : public RowSink {
 public:
  explicit MeddlingSink(std::function<void()> act) : act_(std::move(act)) {}
  Result<void> add(std::span<const ReferenceRow>) override {
    act_();
    return {};
  }

 private:
  std::function<void()> act_;
};

// Invariant 2: two halves of two lists are no list.
TEST_F(ListSourceTest, a_list_that_changes_while_it_is_read_is_an_error) {
  const std::vector<std::function<void()>> meddlings = {
      [&] { std::ofstream(options_.path, std::ios::app) << "more\n"; },
      [&] { std::filesystem::remove(options_.path); },
      [&] {
        std::ofstream(directory_ / "other") << "z\n";
        std::filesystem::rename(directory_ / "other", options_.path);
      }};
  for (const auto& meddling : meddlings) {
    write("a\n");
    MeddlingSink sink(meddling);
    const auto summary = ListSource(options_, clock_).read(sink, {});
    ASSERT_FALSE(summary);
    EXPECT_EQ(summary.error().code, ErrorCode::corrupt);
    EXPECT_NE(summary.error().hint, "");
  }
}

TEST_F(ListSourceTest, a_pipe_is_read_once) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  ASSERT_EQ(::write(writing.get(), "a\nb\n", 4), 4);
  writing.reset();
  options_.path = "-";
  options_.input = reading.get();
  ListSource source(options_, clock_);
  EXPECT_FALSE(source.can_read_again());
  EXPECT_EQ(source.identity()->database, "list:-");
  const Timestamp began = clock_.now();
  MeddlingSink sink([&] { clock_.advance(1h); });
  const auto summary = source.read(sink, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->rows, 2U);
  EXPECT_EQ(summary->as_of, began);
  EXPECT_EQ(source.read(collector_, {}).error().code, ErrorCode::failed_precondition);
}

TEST_F(ListSourceTest, a_named_pipe_is_read_once) {
  ASSERT_EQ(mkfifo(options_.path.c_str(), 0600), 0);
  std::jthread writer([this] { std::ofstream(options_.path) << "a\nb\n"; });
  ListSource source(options_, clock_);
  EXPECT_FALSE(source.can_read_again());
  const auto summary = source.read(collector_, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(collector_.values(), ElementsAre("a", "b"));
  EXPECT_EQ(source.read(collector_, {}).error().code, ErrorCode::failed_precondition);
}

TEST_F(ListSourceTest, a_stop_ends_the_read) {
  write("a\n");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(ListSource(options_, clock_).read(collector_, stop.get_token()).error().code, ErrorCode::cancelled);
}

TEST_F(ListSourceTest, single_keys_cannot_be_looked_up) {
  write("a\n");
  ListSource source(options_, clock_);
  EXPECT_EQ(source.lookup_cost().value(), LookupCost::unsupported);
  EXPECT_FALSE(source.lookup({}, collector_, {}));
}

TEST_F(ListSourceTest, lines_longer_than_the_buffer_survive) {
  const std::string line(1'000'000, 'x');
  write(line + "\n" + line + "y\n");
  ASSERT_TRUE(read());
  EXPECT_THAT(collector_.values(), ElementsAre(line, line + "y"));
}

// Any list survives, and none that was cut within a line is believed.
// Wherever the end of a piece that read(2) gives falls into a line.
TEST_F(ListSourceTest, many_lines_survive) {
  std::vector<std::string> lines;
  std::string content;
  for (std::size_t i = 0; i < 30'000; ++i) {
    lines.push_back(std::to_string(i) + std::string(i % 97, static_cast<char>('a' + i % 26)));
    content += lines.back() + "\n";
  }
  ASSERT_GT(content.size(), 1'000'000U);
  write(content);
  const auto summary = read();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->rows, lines.size());
  EXPECT_TRUE(collector_.values() == lines);
}

TEST_F(ListSourceTest, any_list_survives_and_any_cut_is_seen) {
  rc::check([&] {
    const auto keys = *rc::gen::container<std::vector<std::string>>(
        rc::gen::container<std::string>(rc::gen::suchThat(rc::gen::arbitrary<char>(), [](char c) { return c != '\0'; })));
    options_.separator = ListSeparator::nul;
    std::string content;
    for (const std::string& key : keys) content += key + '\0';
    RC_PRE(!content.starts_with("\xEF\xBB\xBF") && !content.starts_with("\xFF\xFE") && !content.starts_with("\xFE\xFF"));
    write(content);
    RC_ASSERT(read().has_value());
    RC_ASSERT(collector_.values() == keys);
    if (content.empty()) return;
    const auto cut = *rc::gen::inRange<std::size_t>(0, content.size());
    write(content.substr(0, cut));
    const bool at_an_end = cut == 0 || content[cut - 1] == '\0';
    RC_ASSERT(read().has_value() == at_an_end);
  });
}

}  // namespace
}  // namespace heimdall
