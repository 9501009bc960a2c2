#include "base/together.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace heimdall {
namespace {

using Sum = Together<int, int>;

TEST(TogetherTest, a_question_alone_is_answered_alone) {
  Sum twice([](std::span<const int> all) {
    EXPECT_EQ(all.size(), 1U);
    return std::vector<int>{2 * all.front()};
  });
  EXPECT_EQ(twice.ask(3), 6);
  EXPECT_EQ(twice.ask(4), 8);
}

TEST(TogetherTest, questions_that_come_during_an_answer_are_answered_by_the_next_one) {
  constexpr int kOthers = 5;
  std::atomic<int> began{0};
  std::vector<std::size_t> sizes;  // by the one who answers
  Sum twice([&](std::span<const int> all) {
    sizes.push_back(all.size());
    // The first answer is not ready before all others are about to ask.
    if (sizes.size() == 1) {
      while (began < kOthers) std::this_thread::yield();
    }
    std::vector<int> answers;
    for (const int question : all) answers.push_back(2 * question);
    return answers;
  });
  std::vector<int> answers(kOthers);
  std::thread first([&] { EXPECT_EQ(twice.ask(100), 200); });
  std::vector<std::thread> others;
  for (int i = 0; i < kOthers; ++i) {
    others.emplace_back([&, i] {
      ++began;
      answers[static_cast<std::size_t>(i)] = twice.ask(i);
    });
  }
  first.join();
  for (auto& thread : others) thread.join();
  for (int i = 0; i < kOthers; ++i) EXPECT_EQ(answers[static_cast<std::size_t>(i)], 2 * i);
  std::size_t sum = 0;
  for (const std::size_t size : sizes) sum += size;
  EXPECT_EQ(sum, 1U + kOthers);
}

TEST(TogetherTest, each_gets_its_own_answer_however_many_ask) {
  int under_way = 0;  // TSan and this tell if two answer at once
  Sum twice([&](std::span<const int> all) {
    EXPECT_EQ(++under_way, 1);
    std::vector<int> answers;
    for (const int question : all) answers.push_back(2 * question);
    --under_way;
    return answers;
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) ASSERT_EQ(twice.ask(1000 * t + i), 2 * (1000 * t + i));
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace heimdall
