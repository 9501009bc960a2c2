#include <set>

#include "daemon/api/routes.h"
#include "daemon/api/test_support.h"

namespace heimdall {
namespace {

using testing::ApiPlace;
using Json = nlohmann::json;

Json document() { return Json::parse(openapi_document(), nullptr, false); }

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// Calls `visit` for each operation: "GET /livez" and what the document says of it.
template <class Visit>
void for_each_operation(const Json& document, Visit visit) {
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) visit(upper(method) + " " + path, operation);
  }
}

void collect_references(const Json& json, std::set<std::string>& found) {
  if (json.is_object() && json.contains("$ref")) found.insert(json["$ref"].get<std::string>());
  if (!json.is_structured()) return;
  for (const Json& inner : json) collect_references(inner, found);
}

TEST(OpenApiTest, has_every_route_and_no_other) {
  ApiPlace place;
  std::set<std::string> documented;
  for_each_operation(document(), [&](const std::string& route, const Json&) { documented.insert(route); });
  const auto routes = place.api->routes();
  EXPECT_EQ(documented, std::set<std::string>(routes.begin(), routes.end()));
}

TEST(OpenApiTest, is_served_as_it_is) {
  ApiPlace place;
  const auto answer = place.get("/api/v1/openapi.json");
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.json(), document());
  EXPECT_EQ(answer.json()["openapi"], "3.1.0");
}

TEST(OpenApiTest, refers_to_nothing_that_is_not_there) {
  const Json json = document();
  std::set<std::string> references;
  collect_references(json, references);
  EXPECT_GT(references.size(), 20U);
  for (const std::string& reference : references) {
    ASSERT_EQ(reference.substr(0, 2), "#/");
    EXPECT_TRUE(json.contains(Json::json_pointer(reference.substr(1)))) << reference;
  }
}

TEST(OpenApiTest, says_of_each_operation_what_it_does_and_whether_it_needs_the_token) {
  std::set<std::string> ids;
  for_each_operation(document(), [&](const std::string& route, const Json& operation) {
    EXPECT_TRUE(ids.insert(operation["operationId"].get<std::string>()).second) << route;
    EXPECT_FALSE(operation["summary"].get<std::string>().empty()) << route;
    const bool changes = route.substr(0, 4) != "GET ";
    EXPECT_EQ(operation.contains("security"), changes) << route;
    EXPECT_EQ(operation["responses"].contains("401"), changes) << route;
    EXPECT_TRUE(operation["responses"].contains("400")) << route << ": any request may be malformed";
  });
}

TEST(OpenApiTest, every_cursor_is_null_at_the_end) {
  const Json json = document();
  for (const char* list : {"RunList", "PlanList", "CandidateList", "DeletionList"}) {
    EXPECT_EQ(json["components"]["schemas"][list]["properties"]["next"]["type"], Json({"string", "null"})) << list;
  }
}

TEST(OpenApiTest, names_each_part_of_a_path_as_a_parameter) {
  const Json json = document();
  for_each_operation(json, [&](const std::string& route, const Json& operation) {
    std::set<std::string> wanted;
    for (std::size_t at = route.find('{'); at != std::string::npos; at = route.find('{', at + 1)) {
      wanted.insert(route.substr(at + 1, route.find('}', at) - at - 1));
    }
    std::set<std::string> named;
    for (const Json& given : operation.value("parameters", Json::array())) {
      const Json& parameter = given.contains("$ref") ? json[Json::json_pointer(given["$ref"].get<std::string>().substr(1))] : given;
      if (parameter["in"] == "path") named.insert(parameter["name"].get<std::string>());
    }
    EXPECT_EQ(named, wanted) << route;
  });
}

}  // namespace
}  // namespace heimdall
