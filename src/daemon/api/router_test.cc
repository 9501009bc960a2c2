#include "daemon/api/router.h"

#include <gtest/gtest.h>

namespace heimdall {
namespace {

Router some_router() {
  Router router;
  for (const auto& [method, pattern] : std::vector<std::pair<std::string, std::string>>{{"GET", "/"},
                                                                                      {"GET", "/api/v1/runs"},
                                                                                      {"POST", "/api/v1/runs"},
                                                                                      {"GET", "/api/v1/runs/{id}"},
                                                                                      {"DELETE", "/api/v1/runs/{id}"},
                                                                                      {"POST", "/api/v1/runs/{id}/cancel"},
                                                                                      {"GET", "/api/v1/runs/latest"}}) {
    router.add({method, pattern, RunsOn::server, {}});
  }
  return router;
}

std::string pattern_of(const Router& router, std::string_view method, std::string_view path) {
  const auto match = router.find(method, path);
  const auto* found = std::get_if<Router::Found>(&match);
  return found == nullptr ? "" : found->route->method + " " + found->route->pattern;
}

TEST(RouterTest, finds_the_route_of_a_method_and_a_path) {
  const Router router = some_router();
  EXPECT_EQ(pattern_of(router, "GET", "/"), "GET /");
  EXPECT_EQ(pattern_of(router, "GET", "/api/v1/runs"), "GET /api/v1/runs");
  EXPECT_EQ(pattern_of(router, "POST", "/api/v1/runs"), "POST /api/v1/runs");
  EXPECT_EQ(pattern_of(router, "DELETE", "/api/v1/runs/7"), "DELETE /api/v1/runs/{id}");
}

TEST(RouterTest, tells_what_the_names_stand_for) {
  const Router router = some_router();
  const auto match = router.find("POST", "/api/v1/runs/20261125T000000Z-abcdef/cancel");
  ASSERT_TRUE(std::holds_alternative<Router::Found>(match));
  EXPECT_EQ(std::get<Router::Found>(match).path.at("id"), "20261125T000000Z-abcdef");
}

TEST(RouterTest, answers_head_where_there_is_a_get) {
  const Router router = some_router();
  EXPECT_EQ(pattern_of(router, "HEAD", "/api/v1/runs/7"), "GET /api/v1/runs/{id}");
}

TEST(RouterTest, prefers_the_pattern_that_says_the_word) {
  const Router router = some_router();
  EXPECT_EQ(pattern_of(router, "GET", "/api/v1/runs/latest"), "GET /api/v1/runs/latest");
}

TEST(RouterTest, says_which_methods_a_path_takes) {
  const Router router = some_router();
  const auto match = router.find("PUT", "/api/v1/runs/7");
  ASSERT_TRUE(std::holds_alternative<Router::WrongMethod>(match));
  EXPECT_EQ(std::get<Router::WrongMethod>(match).pattern, "/api/v1/runs/{id}");
  EXPECT_EQ(std::get<Router::WrongMethod>(match).allow, "GET, HEAD, DELETE");
}

TEST(RouterTest, takes_no_path_that_is_longer_shorter_or_has_an_empty_segment) {
  const Router router = some_router();
  for (const char* path : {"", "/api", "/api/v1/runs/", "/api/v1/runs//cancel", "/api/v1/runs/7/", "/api/v1/runs/7/8", "//", "api/v1/runs", "/API/v1/runs"}) {
    EXPECT_TRUE(std::holds_alternative<Router::NotFound>(router.find("GET", path))) << path;
  }
}

}  // namespace
}  // namespace heimdall
