#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

tl::expected<Options, Usage> parse(std::initializer_list<const char*> words) {
  std::vector<const char*> argv = {"heimdall-storage"};
  argv.insert(argv.end(), words.begin(), words.end());
  return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

TEST(Options, global_flags_stand_before_or_after_the_command) {
  const auto before = parse({"--config", "c.yaml", "--json", "--bucket", "a", "--bucket", "b", "scan"});
  const auto after = parse({"scan", "--config", "c.yaml", "--json", "--bucket", "a", "--bucket", "b"});
  for (const auto& options : {before, after}) {
    ASSERT_TRUE(options.has_value());
    EXPECT_EQ(options->config, "c.yaml");
    EXPECT_EQ(options->format, Format::json);
    EXPECT_THAT(options->buckets, ElementsAre("a", "b"));
  }
}

TEST(Options, a_repeatable_flag_leaves_the_file_alone) {
  const auto options = parse({"apply", "--bucket", "a", "p.plan"});
  ASSERT_TRUE(options.has_value());
  EXPECT_THAT(options->buckets, ElementsAre("a"));
  EXPECT_EQ(options->file, "p.plan");
}

TEST(Options, guards_are_accepted_by_name) {
  const auto options = parse({"plan", "-o", "p", "--accept", "orphan_ratio", "--accept", "match_rate"});
  ASSERT_TRUE(options.has_value());
  EXPECT_THAT(options->accepted, ElementsAre(Guard::orphan_ratio, Guard::match_rate));
}

TEST(Options, an_unknown_guard_names_the_nearest) {
  const auto options = parse({"scan", "--accept", "orphan_ration"});
  ASSERT_FALSE(options.has_value());
  EXPECT_EQ(options.error().exit_code, 64);
  EXPECT_THAT(options.error().text, HasSubstr("did you mean 'orphan_ratio'?"));
}

TEST(Options, no_command_and_unknown_words_are_usage_errors) {
  EXPECT_EQ(parse({}).error().exit_code, 64);
  EXPECT_EQ(parse({"scan", "--nope"}).error().exit_code, 64);
  EXPECT_EQ(parse({"plan"}).error().exit_code, 64) << "plan needs -o";
  EXPECT_EQ(parse({"show"}).error().exit_code, 64);
  EXPECT_EQ(parse({"plan", "-o", "p", "--limit", "many"}).error().exit_code, 64);
  EXPECT_EQ(parse({"plan", "-o", "p", "--limit", "-1"}).error().exit_code, 64);
  EXPECT_LT(parse({"plan", "-o", "p", "--limit", "-1"}).error().text.size(), 150U);
  EXPECT_THAT(parse({"aply"}).error().text, HasSubstr("Did you mean 'apply'?"));
}

TEST(Options, help_and_version_are_no_errors) {
  EXPECT_EQ(parse({"--help"}).error().exit_code, 0);
  EXPECT_EQ(parse({"apply", "--help"}).error().exit_code, 0);
  EXPECT_THAT(parse({"--version"}).error().text, HasSubstr("heimdall-storage 0."));
}

// A plan is approved as it is: what would change it belongs to `plan`.
TEST(Options, a_plan_cannot_be_changed_while_it_is_applied) {
  EXPECT_EQ(parse({"apply", "p", "--accept", "orphan_ratio"}).error().exit_code, 64);
  EXPECT_EQ(parse({"apply", "p", "--limit", "3"}).error().exit_code, 64);
  EXPECT_EQ(parse({"apply", "p", "--ignore-grace"}).error().exit_code, 64);
  EXPECT_TRUE(parse({"apply", "--accept", "orphan_ratio", "--limit", "3", "--ignore-grace", "--yes"}).has_value());
}

TEST(Options, lists_may_end_their_keys_with_nul) {
  EXPECT_EQ(parse({"scan"})->null, Switch::off);
  EXPECT_EQ(parse({"scan", "--null"})->null, Switch::on);
}

TEST(Options, schedules_are_listed_from_a_time_on) {
  const auto options = parse({"schedules", "--from", "2026-11-25T03:00:00Z", "--count", "7"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->command, Command::schedules);
  EXPECT_EQ(options->from, Timestamp(std::chrono::seconds(1795575600)));
  EXPECT_EQ(options->count, 7U);
  EXPECT_EQ(parse({"schedules"})->from, std::nullopt);
  EXPECT_EQ(parse({"schedules"})->count, 5U);
  for (const char* count : {"0", "-1", "1001", "many"}) EXPECT_EQ(parse({"schedules", "--count", count}).error().exit_code, 64) << count;
  const auto refused = parse({"schedules", "--from", "tomorrow"});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().exit_code, 64);
  EXPECT_THAT(refused.error().text, HasSubstr("--from: 'tomorrow' is not a time; write one such as 2026-11-25T03:00:00Z"));
}

TEST(Options, the_service_may_listen_and_log_otherwise) {
  const auto plain = parse({"serve"});
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->command, Command::serve);
  EXPECT_EQ(plain->log_format, LogFormat::automatic);
  EXPECT_EQ(plain->log_level, LogLevel::info);
  EXPECT_EQ(plain->listen, std::nullopt);
  const auto options = parse({"serve", "--listen", "0.0.0.0:80", "--log-format", "json", "--log-level", "debug"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->listen, "0.0.0.0:80");
  EXPECT_EQ(options->log_format, LogFormat::json);
  EXPECT_EQ(options->log_level, LogLevel::debug);
  EXPECT_EQ(parse({"serve", "--log-format", "xml"}).error().exit_code, 64);
  EXPECT_THAT(parse({"serve", "--log-level", "loud"}).error().text, HasSubstr("loud"));
  EXPECT_THAT(parse({"serve", "--listen", "8001"}).error().text, HasSubstr("--listen: '8001' has no address"));
  EXPECT_EQ(parse({"scan", "--listen", "127.0.0.1:1"}).error().exit_code, 64);
}

TEST(Options, past_days_are_asked_for_by_a_flag) {
  EXPECT_EQ(parse({"stats"})->history, Switch::off);
  EXPECT_EQ(parse({"stats", "--history"})->history, Switch::on);
}

TEST(Options, one_run_is_shown_by_its_id) {
  const auto options = parse({"runs", "show", "20261123T001416Z-7f3a9c", "--json"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->command, Command::runs);
  EXPECT_THAT(options->arguments, ElementsAre("20261123T001416Z-7f3a9c"));
}

}  // namespace
}  // namespace heimdall
