#include "refs/postgres/parallel_read.h"

#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "testing/fake_source.h"

namespace heimdall {
namespace {

// Ends when it is told to.
Result<void> until_stopped(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, stop, [] { return false; });
  return Error{ErrorCode::cancelled, "was stopped"};
}

TEST(ParallelRead, each_part_is_read_once) {
  for (const std::size_t readers : {1U, 2U, 5U}) {
    std::vector<std::atomic<int>> reads(100);
    std::vector<std::atomic<int>> busy(readers);
    ASSERT_TRUE(read_in_parallel(readers, reads.size(), {}, [&](std::size_t reader, std::size_t part, const std::stop_token&) {
      EXPECT_EQ(busy.at(reader)++, 0) << "a reader has one part at a time";
      ++reads.at(part);
      --busy.at(reader);
      return Result<void>();
    }));
    for (const auto& count : reads) EXPECT_EQ(count, 1);
  }
  EXPECT_TRUE(read_in_parallel(2, 0, {}, [](auto...) { return Result<void>(Error{ErrorCode::internal, "not called"}); }));
}

// Invariant 2.
TEST(ParallelRead, a_failed_part_stops_the_others_and_fails_the_whole) {
  std::atomic<std::size_t> reads{0};
  const auto result = read_in_parallel(2, 1000, {}, [&](std::size_t, std::size_t part, const std::stop_token& stop) {
    ++reads;
    return part == 0 ? until_stopped(stop) : Result<void>(Error{ErrorCode::unavailable, "part 1 broke"});
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unavailable);
  EXPECT_EQ(result.error().message, "part 1 broke");
  EXPECT_LE(reads, 2U);
}

TEST(ParallelRead, a_stop_reaches_every_reader) {
  std::stop_source stop;
  std::atomic<int> begun{0};
  const auto result = read_in_parallel(2, 2, stop.get_token(), [&](std::size_t, std::size_t, const std::stop_token& token) {
    if (++begun == 2) stop.request_stop();
    return until_stopped(token);
  });
  EXPECT_EQ(result.error().code, ErrorCode::cancelled);
  EXPECT_EQ(read_in_parallel(2, 2, stop.get_token(), [](auto...) { return Result<void>(); }).error().code, ErrorCode::cancelled);
}

TEST(ParallelRead, a_sink_gets_one_call_at_a_time) {
  struct Sink final : RowSink {
    Result<void> add(std::span<const ReferenceRow> batch) override {
      for (const ReferenceRow& row : batch) values.insert(std::string(row.value));
      return {};
    }
    std::multiset<std::string> values;
  } sink;
  SharedSink shared(sink);
  ASSERT_TRUE(read_in_parallel(4, 200, {}, [&](std::size_t, std::size_t part, const std::stop_token&) {
    const std::string value = std::to_string(part);
    const ReferenceRow rows[] = {{value, std::nullopt}, {value, std::nullopt}};
    return shared.add(rows);
  }));
  EXPECT_EQ(sink.values.size(), 400U);
  EXPECT_EQ(sink.values.count("7"), 2U);
}

TEST(ParallelRead, a_sink_that_failed_gets_no_more) {
  struct Sink final : RowSink {
    Result<void> add(std::span<const ReferenceRow>) override {
      ++calls;
      return Error{ErrorCode::internal, "disk full"};
    }
    int calls = 0;
  } sink;
  SharedSink shared(sink);
  EXPECT_EQ(shared.add({}).error().message, "disk full");
  EXPECT_EQ(shared.add({}).error().message, "disk full");
  EXPECT_EQ(sink.calls, 1);
}

}  // namespace
}  // namespace heimdall
