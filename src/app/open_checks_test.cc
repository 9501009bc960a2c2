#include "app/open_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "app/test_place.h"
#include "base/clock.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using testing::Place;

class OpenChecksTest : public ::testing::Test {
 protected:
  std::vector<DependencyCheck> checks(const std::string& bucket, const std::string& more_buckets = "") {
    return dependency_checks(place_.config(bucket, more_buckets), clock_);
  }
  static std::vector<std::string> names(const std::vector<DependencyCheck>& checks) {
    std::vector<std::string> names;
    for (const DependencyCheck& check : checks) names.push_back(check.kind + " " + check.name);
    return names;
  }
  // "ok", or the code of the error.
  static std::string look(const std::vector<DependencyCheck>& checks, const std::string& kind) {
    const auto at = std::ranges::find(checks, kind, &DependencyCheck::kind);
    if (at == checks.end()) return "none";
    const auto looked = at->check({});
    return looked ? "ok" : std::string(to_string(looked.error().code));
  }

  Place place_;
  SystemClock clock_;
};

TEST_F(OpenChecksTest, each_store_and_database_and_list_in_use_has_one) {
  const std::string list = (place_.root() / "keys.txt").string();
  const auto all = checks("    prefixes: [\"a/\"]\n    references: [{database: local, query: \"SELECT path FROM photos\"}, {list: keys.txt}]\n",
                          "  - name: other\n    store: media\n    prefixes: [\"b/\"]\n    references: [{list: keys.txt}, {list: \"-\"}]\n");
  EXPECT_THAT(names(all), ElementsAre("store media", "database local", "list " + list));
}

TEST_F(OpenChecksTest, they_outlive_the_configuration_and_see_what_comes_and_goes) {
  std::ofstream(place_.root() / "keys.txt") << "a\n";
  const auto all = checks("    references: [{database: local, query: \"SELECT path FROM photos\"}, {list: keys.txt}]\n");
  for (const char* kind : {"store", "database", "list"}) EXPECT_EQ(look(all, kind), "ok") << kind;
  std::filesystem::rename(place_.root() / "media", place_.root() / "away");
  std::filesystem::rename(place_.root() / "app.db", place_.root() / "away.db");
  std::filesystem::remove(place_.root() / "keys.txt");
  for (const char* kind : {"store", "database", "list"}) EXPECT_EQ(look(all, kind), "not_found") << kind;
  // Another directory than before: what was opened then must not be held on to.
  std::filesystem::create_directory(place_.root() / "media");
  std::filesystem::rename(place_.root() / "away.db", place_.root() / "app.db");
  std::ofstream(place_.root() / "keys.txt") << "a\n";
  for (const char* kind : {"store", "database", "list"}) EXPECT_EQ(look(all, kind), "ok") << kind;
}

TEST_F(OpenChecksTest, a_query_that_fails_is_no_database_that_is_away) {
  EXPECT_EQ(look(checks("    references: [{database: local, query: \"SELECT missing FROM nowhere\"}]\n"), "database"), "ok");
}

TEST_F(OpenChecksTest, a_file_that_is_no_database_is_told) {
  std::ofstream(place_.root() / "app.db", std::ios::trunc) << std::string(5000, 'x');
  EXPECT_EQ(look(checks(Place::plain_references()), "database"), "corrupt");
}

TEST_F(OpenChecksTest, a_store_that_nobody_can_reach_is_told_at_once) {
  Config config = place_.config(Place::plain_references());
  StoreConfig& store = config.stores.front();
  store.kind = StoreKind::s3;
  store.s3.endpoint = "http://127.0.0.1:1";
  store.s3.access_key.environment = "PATH";  // something that is set
  store.s3.secret_key.environment = "PATH";
  const auto begun = std::chrono::steady_clock::now();
  const auto all = dependency_checks(config, clock_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(look(all, "store"), "unavailable");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

}  // namespace
}  // namespace heimdall
