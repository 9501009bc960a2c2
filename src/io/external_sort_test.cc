#include "io/external_sort.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>
#include <string>

#include "io/radix_sort.h"

namespace heimdall {
namespace {

using ::testing::HasSubstr;

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "heimdall-sort-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  std::filesystem::path file() const { return path_ / "runs"; }

 private:
  std::filesystem::path path_;
};

std::vector<std::uint64_t> random_numbers(std::size_t count, std::uint64_t seed, std::uint64_t most = ~std::uint64_t{0}) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::uint64_t> number(0, most);
  std::vector<std::uint64_t> numbers(count);
  for (auto& n : numbers) n = number(random);
  return numbers;
}

// Around the sizes at which another way of sorting begins, spread evenly and not.
TEST(RadixSort, sorts_as_std_sort_does) {
  for (const std::size_t size : {0U, 1U, 2U, 24U, 25U, 1000U, 32'767U, 32'769U, 300'000U, 2'100'000U}) {
    for (const std::uint64_t most : {~std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{999}, std::uint64_t{1} << 33}) {
      for (const unsigned threads : {1U, 2U}) {
        auto numbers = random_numbers(size, size + most, most);
        if (size > 2) numbers[size / 2] = ~std::uint64_t{0};  // far away from all others
        auto expected = numbers;
        std::sort(expected.begin(), expected.end());
        radix_sort(numbers, threads);
        ASSERT_EQ(numbers, expected) << size << " numbers up to " << most;
      }
    }
  }
}

TEST(RadixSort, sorts_pairs_by_both_numbers) {
  for (const std::uint64_t most : {~std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{500}}) {
    for (const unsigned threads : {1U, 2U}) {
      const auto first = random_numbers(1'100'000, 1, most);
      const auto second = random_numbers(first.size(), 2, 3);
      std::vector<U64Pair> pairs;
      for (std::size_t i = 0; i < first.size(); ++i) pairs.push_back({first[i], second[i]});
      auto expected = pairs;
      std::sort(expected.begin(), expected.end());
      radix_sort(pairs, threads);
      ASSERT_TRUE(pairs == expected) << most;
    }
  }
}

template <class Record>
std::vector<Record> drained(ExternalSorter<Record>& sorter) {
  std::vector<Record> all;
  const auto count = sorter.drain([&](std::span<const Record> records) -> Result<void> {
    all.insert(all.end(), records.begin(), records.end());
    return {};
  });
  EXPECT_TRUE(count) << count.error().message;
  EXPECT_EQ(count.value_or(0), all.size());
  return all;
}

// Invariant 1: whatever the budget and however many runs that makes, nothing that went in is missing.
RC_GTEST_PROP(ExternalSorter, gives_back_the_set_of_what_it_was_given, ()) {
  const ScratchDirectory directory;
  const auto size = *rc::gen::inRange<std::size_t>(0, 40'000);
  const auto budget = *rc::gen::element<std::size_t>(1, 8, 100, 5000, 1 << 20, 1 << 30);
  const auto most = *rc::gen::element<std::uint64_t>(~std::uint64_t{0}, ~std::uint64_t{0}, 1000, 0);
  // A budget of one number makes a run of each: no more of them than a disk should bear in a test.
  const auto numbers = random_numbers(budget < 100 ? size % 500 : size, *rc::gen::arbitrary<std::uint64_t>(), most);
  ExternalSorter<std::uint64_t> sorter(directory.file(), *rc::gen::inRange(1U, 3U));
  for (const std::uint64_t number : numbers) {
    sorter.push(number);
    if (sorter.memory_bytes() >= budget) RC_ASSERT(sorter.spill().has_value());
  }
  const std::set<std::uint64_t> expected(numbers.begin(), numbers.end());
  RC_ASSERT(drained(sorter) == std::vector<std::uint64_t>(expected.begin(), expected.end()));
}

RC_GTEST_PROP(ExternalSorter, gives_back_the_set_of_pairs_it_was_given, ()) {
  const ScratchDirectory directory;
  const auto budget = *rc::gen::element<std::size_t>(1000, 50'000, 1 << 30);
  const auto most = *rc::gen::element<std::uint64_t>(~std::uint64_t{0}, 1000, 0);
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto first = random_numbers(*rc::gen::inRange<std::size_t>(0, 20'000), seed, most);
  const auto second = random_numbers(first.size(), seed + 1, 5);
  ExternalSorter<U64Pair> sorter(directory.file(), 1);
  std::set<U64Pair> expected;
  for (std::size_t i = 0; i < first.size(); ++i) {
    sorter.push({first[i], second[i]});
    expected.insert({first[i], second[i]});
    if (sorter.memory_bytes() >= budget) RC_ASSERT(sorter.spill().has_value());
  }
  RC_ASSERT(drained(sorter) == std::vector<U64Pair>(expected.begin(), expected.end()));
}

// Several runs of several buffers each, and what each of them becomes.
class SpilledRuns : public ::testing::Test {
 protected:
  SpilledRuns() {
    for (const std::uint64_t number : random_numbers(kNumbers, 7)) {
      sorter_->push(number);
      if (sorter_->memory_bytes() >= kNumbers * 2) {
        EXPECT_TRUE(sorter_->spill());
      }
    }
  }
  void expect_corrupt(std::string_view why) {
    const auto drained = sorter_->drain([](std::span<const std::uint64_t>) -> Result<void> { return {}; });
    ASSERT_FALSE(drained) << why;
    EXPECT_EQ(drained.error().code, ErrorCode::corrupt) << why;
    EXPECT_THAT(drained.error().message, HasSubstr(directory_.file().string()));
  }

  static constexpr std::size_t kNumbers = 1'000'000;
  const ScratchDirectory directory_;
  std::optional<ExternalSorter<std::uint64_t>> sorter_{std::in_place, directory_.file(), 1};
};

TEST_F(SpilledRuns, are_read_back_and_removed) {
  EXPECT_GE(std::filesystem::file_size(directory_.file()), kNumbers * 8);
  EXPECT_EQ(drained(*sorter_).size(), kNumbers);
  sorter_.reset();
  EXPECT_FALSE(std::filesystem::exists(directory_.file()));
}

// Invariant 2: a run that lost its end is never taken for a short one.
TEST_F(SpilledRuns, that_were_cut_are_corrupt) {
  std::filesystem::resize_file(directory_.file(), std::filesystem::file_size(directory_.file()) - 1);
  expect_corrupt("cut by a byte");
}

TEST_F(SpilledRuns, that_were_emptied_are_corrupt) {
  std::filesystem::resize_file(directory_.file(), 0);
  expect_corrupt("emptied");
}

class AlteredRun : public SpilledRuns, public ::testing::WithParamInterface<double> {};

TEST_P(AlteredRun, is_corrupt_wherever_one_bit_is_flipped) {
  const auto size = static_cast<double>(std::filesystem::file_size(directory_.file()) - 1);
  std::fstream file(directory_.file(), std::ios::in | std::ios::out | std::ios::binary);
  const auto at = static_cast<std::streamoff>(size * GetParam());
  file.seekg(at);
  const int byte = file.get();
  file.seekp(at);
  file.put(static_cast<char>(byte ^ 1));
  file.close();
  expect_corrupt(std::to_string(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(all, AlteredRun, ::testing::Values(0.0, 0.1, 0.24, 0.26, 0.5, 0.77, 0.99, 1.0));

TEST(ExternalSorter, passes_on_the_error_of_its_sink) {
  const ScratchDirectory directory;
  for (const bool spilled : {false, true}) {
    ExternalSorter<std::uint64_t> sorter(directory.file(), 1);
    for (const std::uint64_t number : random_numbers(1000, 1)) sorter.push(number);
    if (spilled) {
      ASSERT_TRUE(sorter.spill());
    }
    const auto drained = sorter.drain([](std::span<const std::uint64_t>) -> Result<void> {
      return Error{ErrorCode::internal, "the disk is full"};
    });
    ASSERT_FALSE(drained);
    EXPECT_EQ(drained.error().message, "the disk is full");
  }
}

TEST(ExternalSorter, says_where_it_cannot_write) {
  const ScratchDirectory directory;
  ExternalSorter<std::uint64_t> sorter(directory.file().parent_path() / "no" / "runs", 1);
  sorter.push(1);
  const auto spilled = sorter.spill();
  ASSERT_FALSE(spilled);
  EXPECT_THAT(spilled.error().message, HasSubstr("no/runs"));
}

}  // namespace
}  // namespace heimdall
