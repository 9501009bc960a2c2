#include "pipeline/pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using Push = PaceWindow::Push;

// A store as a curve: what it brings per second with so many requests at once.
using Curve = std::function<double(unsigned)>;

// Steps between measured points are filled in by straight lines.
Curve through(std::vector<std::pair<unsigned, double>> points) {
  return [points](unsigned n) {
    for (std::size_t i = 1; i < points.size(); ++i) {
      if (n > points[i].first) continue;
      const auto [x0, y0] = points[i - 1];
      const auto [x1, y1] = points[i];
      return y0 + (y1 - y0) * (double(n) - x0) / (double(x1) - x0);
    }
    return points.back().second;
  };
}

// Multi-deletes of 1000 keys, measured.
Curve minio() { return through({{1, 2900}, {2, 4200}, {4, 2700}, {8, 2400}}); }
Curve latency_bound() {
  return [](unsigned n) { return 900.0 * std::min(n, 256U); };
}

class Simulation {
 public:
  Simulation(Pace::Options options, unsigned seed, double noise = 0.05) : options_(options), pace_(options), random_(seed), noise_(noise) {}

  // The mean rate over so many windows of a second each. Above `limit` per second the store throttles.
  double run(const Curve& curve, int windows, double limit = 1e12) {
    double items = 0;
    for (int i = 0; i < windows; ++i) {
      const unsigned level = pace_.level();
      EXPECT_GE(level, options_.least);
      EXPECT_LE(level, options_.most);
      const double asked = curve(level) * std::exp(std::normal_distribution<double>(0, noise_)(random_));
      const double done = std::min(asked, limit);
      items += done;
      levels_.push_back(level);
      const std::chrono::duration<double> latency{level * 1000 / done};  // Little's law, requests of 1000
      pace_.window({static_cast<std::uint64_t>(done), 1s, std::chrono::duration_cast<std::chrono::nanoseconds>(latency),
                    asked > limit ? Push::back : Push::none});
    }
    return items / windows;
  }
  double best(const Curve& curve) const {
    double best = 0;
    for (unsigned n = options_.least; n <= options_.most; ++n) best = std::max(best, curve(n));
    return best;
  }
  Pace& pace() { return pace_; }
  const std::vector<unsigned>& levels() const { return levels_; }

 private:
  Pace::Options options_;
  Pace pace_;
  std::mt19937 random_;
  double noise_;
  std::vector<unsigned> levels_;
};

TEST(PaceTest, begins_where_it_is_told_and_keeps_its_bounds) {
  EXPECT_EQ(Pace({.least = 2, .first = 4, .most = 8}).level(), 4U);
  EXPECT_EQ(Pace({.least = 2, .first = 1, .most = 8}).level(), 2U);
  EXPECT_EQ(Pace({.least = 1, .first = 9, .most = 8}).level(), 8U);
  EXPECT_EQ(Pace({.least = 0, .first = 0, .most = 0}).level(), 1U);
}

TEST(PaceTest, one_level_is_kept_whatever_happens) {
  Pace pace({.least = 3, .first = 3, .most = 3});
  for (int i = 0; i < 200; ++i) {
    pace.window({1000, 1s, 10ms, i % 7 == 0 ? Push::back : Push::none});
    ASSERT_EQ(pace.level(), 3U);
  }
}

TEST(PaceTest, doubles_while_that_pays) {
  Simulation store({.least = 1, .first = 4, .most = 256}, 1, 0);
  store.run(latency_bound(), 7);
  EXPECT_EQ(store.levels(), (std::vector<unsigned>{4, 8, 16, 32, 64, 128, 256}));
}

TEST(PaceTest, finds_the_two_workers_that_minio_likes_best) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    for (const unsigned first : {1U, 2U, 8U}) {
      Simulation store({.least = 1, .first = first, .most = 8}, seed);
      store.run(minio(), 60);
      EXPECT_EQ(store.pace().best_level(), 2U) << "seed " << seed << ", from " << first;
      EXPECT_GE(store.run(minio(), 200), 0.9 * 4200) << "seed " << seed << ", from " << first;
    }
  }
}

TEST(PaceTest, fills_a_store_whose_only_limit_is_the_way_to_it) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    Simulation store({.least = 1, .first = 4, .most = 512}, seed);
    store.run(latency_bound(), 20);
    EXPECT_GE(store.run(latency_bound(), 200), 0.9 * 900 * 256) << "seed " << seed;
  }
}

TEST(PaceTest, stays_just_below_what_makes_a_store_throttle) {
  double sum = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    Simulation store({.least = 1, .first = 4, .most = 256}, seed, 0.02);
    store.run(latency_bound(), 40, 20'000);
    const double rate = store.run(latency_bound(), 400, 20'000);
    EXPECT_GE(rate, 0.82 * 20'000) << "seed " << seed;
    sum += rate;
    const auto pushed = std::count_if(store.levels().begin() + 40, store.levels().end(), [](unsigned level) { return level > 22; });
    EXPECT_LE(pushed, 20) << "seed " << seed << ": it asks for too much again and again";
  }
  EXPECT_GE(sum / 50, 0.9 * 20'000);
}

TEST(PaceTest, follows_a_store_whose_best_level_moves) {
  const Curve at_night = through({{1, 1000}, {16, 9000}, {64, 5000}});
  const Curve by_day = through({{1, 1000}, {4, 3000}, {16, 1800}, {64, 900}});
  for (unsigned seed = 1; seed <= 50; ++seed) {
    Simulation store({.least = 1, .first = 2, .most = 64}, seed);
    for (int day = 0; day < 3; ++day) {
      store.run(at_night, 80);
      EXPECT_GE(store.run(at_night, 200), 0.9 * store.best(at_night)) << "seed " << seed << ", night " << day;
      store.run(by_day, 80);
      EXPECT_GE(store.run(by_day, 200), 0.9 * store.best(by_day)) << "seed " << seed << ", day " << day;
    }
  }
}

// The best level moves without a sign at the present one: only trying again tells.
TEST(PaceTest, notices_in_the_end_that_more_has_become_better) {
  const Curve before = through({{1, 1000}, {8, 4000}, {64, 2000}});
  const Curve after = through({{1, 1000}, {8, 4000}, {32, 9000}, {64, 8000}});
  for (unsigned seed = 1; seed <= 20; ++seed) {
    Simulation store({.least = 1, .first = 2, .most = 64}, seed);
    store.run(before, 300);
    store.run(after, 300);
    EXPECT_GE(store.run(after, 200), 0.9 * store.best(after)) << "seed " << seed;
  }
}

TEST(PaceTest, noise_does_not_move_it) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    Simulation store({.least = 1, .first = 8, .most = 8}, seed, 0.08);
    store.run(minio(), 30);
    const std::size_t settled = store.levels().size();
    store.run(minio(), 500);
    const auto away = std::count_if(store.levels().begin() + static_cast<std::ptrdiff_t>(settled), store.levels().end(),
                                    [](unsigned level) { return level != 2; });
    EXPECT_LE(away, 50) << "seed " << seed;
  }
}

TEST(PaceTest, halves_when_pushed_back) {
  Pace pace({.least = 1, .first = 64, .most = 64});
  pace.window({1000, 1s, 10ms, Push::back});
  EXPECT_EQ(pace.level(), 32U);
  pace.window({0, 0s, 0s, Push::back});  // not one request came through
  EXPECT_EQ(pace.level(), 16U);
}

TEST(PaceTest, a_trial_that_is_pushed_back_ends_at_once_at_the_old_level) {
  Pace pace({.least = 1, .first = 8, .most = 64});
  pace.window({1000, 1s, 10ms});
  ASSERT_EQ(pace.level(), 16U);
  pace.window({1900, 1s, 10ms, Push::back});
  EXPECT_EQ(pace.level(), 8U);
  for (int i = 0; i < 10; ++i) {
    pace.window({1000, 1s, 10ms});
    EXPECT_LT(pace.level(), 16U) << "it was told that this is too much";
  }
}

TEST(PaceTest, wants_a_pause_when_the_least_is_too_much) {
  Pace pace({.least = 1, .first = 2, .most = 8});
  pace.window({1000, 1s, 10ms, Push::back});
  EXPECT_FALSE(pace.wants_pause()) << "there is a lower level";
  pace.window({1000, 1s, 10ms, Push::back});
  EXPECT_EQ(pace.level(), 1U);
  EXPECT_TRUE(pace.wants_pause());
  pace.window({1000, 1s, 10ms});
  EXPECT_FALSE(pace.wants_pause());
}

TEST(PaceTest, steps_back_when_requests_take_longer_without_bringing_more) {
  Pace pace({.least = 1, .first = 8, .most = 8});
  const Curve flat = [](unsigned) { return 1000.0; };
  for (int i = 0; i < 40; ++i) pace.window({1000, 1s, 10ms});
  while (!pace.is_settled()) pace.window({1000, 1s, 10ms});
  const unsigned before = pace.level();
  pace.window({900, 1s, 50ms});
  EXPECT_EQ(pace.level(), before / 2);
}

TEST(PaceTest, keeps_to_a_latency_target) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    // 50 ms for each request at once: 250 ms are four.
    const Curve flat = [](unsigned n) { return n <= 2 ? 10'000.0 * n : 20'000.0 + n; };
    Simulation store({.least = 1, .first = 2, .most = 64, .latency_target = 250ms}, seed, 0.02);
    store.run(flat, 200);
    const auto over = std::count_if(store.levels().begin() + 30, store.levels().end(), [](unsigned level) { return level > 5; });
    EXPECT_LE(over, 4) << "seed " << seed;
  }
}

TEST(PaceTest, goes_down_to_the_least_and_pauses_when_the_store_is_slower_than_the_target) {
  Pace pace({.least = 1, .first = 8, .most = 8, .latency_target = 100ms});
  for (int i = 0; i < 5; ++i) pace.window({1000, 1s, 400ms});
  EXPECT_EQ(pace.level(), 1U);
  EXPECT_TRUE(pace.wants_pause());
}

TEST(PaceTest, a_window_without_items_says_nothing) {
  Pace pace({.least = 1, .first = 4, .most = 8});
  pace.window({0, 1s, 0s});
  pace.window({10, 0s, 0s});
  EXPECT_EQ(pace.level(), 4U);
}

TEST(PaceTest, the_same_windows_give_the_same_levels) {
  Simulation one({.least = 1, .first = 1, .most = 64}, 7);
  Simulation two({.least = 1, .first = 1, .most = 64}, 7);
  one.run(minio(), 100);
  two.run(minio(), 100);
  EXPECT_EQ(one.levels(), two.levels());
}

// Property: wherever the one summit of a curve lies, and however steep its sides, Pace comes within 10 % of it and stays.
TEST(PacePropertyTest, reaches_the_summit_of_any_curve_with_one) {
  int poor = 0;
  for (unsigned seed = 1; seed <= 400; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
    const unsigned most = 1U << std::uniform_int_distribution<unsigned>(1, 8)(random);
    const double summit = std::exp(draw(0, std::log(double(most))));
    const double up = draw(0.2, 1.0);
    const double down = draw(0.1, 1.0);
    const Curve curve = [=](unsigned n) {
      return 50'000 * (n < summit ? std::pow(n / summit, up) : std::pow(summit / n, down));
    };
    const unsigned first = std::uniform_int_distribution<unsigned>(1, most)(random);
    Simulation store({.least = 1, .first = first, .most = most}, seed, 0.03);
    store.run(curve, 40);
    const double reached = store.run(curve, 300) / store.best(curve);
    EXPECT_GE(reached, 0.85) << "seed " << seed << ": summit " << summit << " of " << most << ", level " << store.pace().best_level();
    poor += reached < 0.9 ? 1 : 0;
  }
  EXPECT_LE(poor, 8) << "of 400";
}

}  // namespace
}  // namespace heimdall
