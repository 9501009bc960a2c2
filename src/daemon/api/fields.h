#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/api/problem.h"
#include "httpd/http_server.h"

namespace heimdall {

// Reads the fields of a JSON body, strictly. The first thing that is wrong is kept and all further answers are worthless: ask for all fields first, then for
// the problem. What is no JSON object is 400, a field that is unknown, there twice, missing or of the wrong kind is 422 and named. An empty body is {}.
class BodyFields {
 public:
  explicit BodyFields(std::string_view body);

  std::optional<std::string> text(const std::string& name);
  bool flag(const std::string& name, bool otherwise);
  std::optional<std::uint64_t> count(const std::string& name);  // 1 or more
  // Strings that are not empty, each once; nullopt if the field is not there. An empty list is refused: it could be meant as "none" and taken as "all".
  std::optional<std::vector<std::string>> texts(const std::string& name);

  // What the caller found to be wrong with a field; the first one counts.
  void refuse(const std::string& name, std::string detail, std::string hint);
  // Fields nobody asked for are a problem, too.
  std::optional<Problem> problem();

 private:
  const nlohmann::json* find(const std::string& name);
  void wrong_kind(const std::string& name, std::string_view wanted);

  nlohmann::json body_;
  std::vector<std::string> known_;
  std::optional<Problem> problem_;
};

// The same for the parameters of a query; what is wrong is 400.
class QueryFields {
 public:
  explicit QueryFields(const ServerRequest& request) : request_(request) {}

  std::optional<std::string> text(const std::string& name);
  std::optional<std::uint64_t> count(const std::string& name);  // 0 or more
  // How many of a list: 1 to `most`.
  std::size_t limit(const std::string& name, std::size_t otherwise, std::size_t most);

  void refuse(const std::string& name, std::string detail, std::string hint);
  std::optional<Problem> problem();

 private:
  const ServerRequest& request_;
  std::vector<std::string> known_;
  std::optional<Problem> problem_;
};

// Whether this is a run id ("20261123T001416Z-7f3a9c"): only such ones become part of a file's name.
bool is_run_id(std::string_view text);

}  // namespace heimdall
