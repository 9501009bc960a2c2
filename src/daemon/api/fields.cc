#include "daemon/api/fields.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

using Json = nlohmann::json;

std::string list_of(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

std::string hint_for_unknown(const std::string& name, const std::vector<std::string>& known) {
  if (known.empty()) return "none is known here";
  const auto near = nearest(name, known);
  return near ? format("did you mean '{}'?", *near) : format("known are: {}", list_of(known));
}

// The fields of an object of the body, to see one that is there twice; the parser would silently take the last.
struct Repeated {
  std::vector<std::set<std::string>> open;
  std::optional<std::string> name;

  bool operator()(int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key && !open.back().insert(parsed.get<std::string>()).second && !name) name = parsed.get<std::string>();
    return true;
  }
};

std::optional<std::uint64_t> number_in(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

BodyFields::BodyFields(std::string_view body) : body_(Json::object()) {
  if (body.empty()) return;
  Repeated repeated;
  try {
    body_ = Json::parse(body, std::ref(repeated));
  } catch (const Json::exception& error) {
    const auto* where = dynamic_cast<const Json::parse_error*>(&error);
    problem_ = Problem{400, format("the body is no JSON: something is wrong near byte {}", where == nullptr ? 0 : where->byte), "send one JSON object in UTF-8"};
    body_ = Json::object();
    return;
  }
  if (!body_.is_object()) {
    problem_ = Problem{400, format("the body is {} {}, not an object", body_.is_array() ? "an" : "a", body_.type_name()), "send one JSON object in UTF-8"};
    body_ = Json::object();
  } else if (repeated.name) {
    refuse(*repeated.name, format("'{}' is there twice", printable(*repeated.name)), "give it once");
  }
}

const Json* BodyFields::find(const std::string& name) {
  known_.push_back(name);
  const auto at = body_.find(name);
  return at == body_.end() ? nullptr : &*at;  // null is of the wrong kind: it may be meant as "no", and taken as left out
}

void BodyFields::wrong_kind(const std::string& name, std::string_view wanted) {
  const Json& given = body_[name];
  // What has parts is not written out: it may be nested as deep as the body is long.
  const std::string text = given.is_structured() ? format("an {}", given.type_name()) : printable(given.dump().substr(0, 100));
  refuse(name, format("'{}' is {}", name, text), format("give {}", wanted));
}

std::optional<std::string> BodyFields::text(const std::string& name) {
  const Json* const value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  wrong_kind(name, "a string");
  return std::nullopt;
}

bool BodyFields::flag(const std::string& name, bool otherwise) {
  const Json* const value = find(name);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  wrong_kind(name, "true or false");
  return otherwise;
}

std::optional<std::uint64_t> BodyFields::count(const std::string& name) {
  const Json* const value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > 0) return value->get<std::uint64_t>();
  wrong_kind(name, "a whole number of 1 or more");
  return std::nullopt;
}

std::optional<std::vector<std::string>> BodyFields::texts(const std::string& name) {
  const Json* const value = find(name);
  if (value == nullptr) return std::nullopt;
  const bool strings = value->is_array() && std::all_of(value->begin(), value->end(), [](const Json& one) { return one.is_string() && one != ""; });
  if (!strings) {
    wrong_kind(name, "a list of strings");
    return std::nullopt;
  }
  if (value->empty()) refuse(name, format("'{}' is an empty list", name), "leave it out if all are meant");
  std::vector<std::string> result;
  std::unordered_set<std::string_view> seen;
  for (const Json& one : *value) {
    const auto& text = one.get_ref<const std::string&>();
    if (seen.insert(text).second) result.push_back(text);
  }
  return result;
}

void BodyFields::refuse(const std::string& name, std::string detail, std::string hint) {
  if (problem_) return;
  problem_ = Problem{422, std::move(detail), std::move(hint), printable(name)};
}

std::optional<Problem> BodyFields::problem() {
  for (const auto& [name, value] : body_.items()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      refuse(name, format("'{}' is no field of this request", printable(name)), hint_for_unknown(name, known_));
    }
  }
  return problem_;
}

std::optional<std::string> QueryFields::text(const std::string& name) {
  known_.push_back(name);
  return request_.parameter(name);
}

std::optional<std::uint64_t> QueryFields::count(const std::string& name) {
  const auto given = text(name);
  if (!given) return std::nullopt;
  const auto number = number_in(*given);
  if (!number) refuse(name, format("'{}' is '{}'", name, printable(*given)), "give a whole number");
  return number;
}

std::size_t QueryFields::limit(const std::string& name, std::size_t otherwise, std::size_t most) {
  const auto number = count(name);
  if (!number) return otherwise;
  if (*number >= 1 && *number <= most) return *number;
  refuse(name, format("'{}' is {}", name, *number), format("1 to {} is allowed; `next` of the answer leads on", most));
  return otherwise;
}

void QueryFields::refuse(const std::string& name, std::string detail, std::string hint) {
  if (problem_) return;
  problem_ = Problem{400, std::move(detail), std::move(hint), printable(name)};
}

std::optional<Problem> QueryFields::problem() {
  for (const auto& [name, value] : request_.query) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      refuse(name, format("'{}' is no parameter of this request", printable(name)), hint_for_unknown(name, known_));
    }
  }
  return problem_;
}

bool is_run_id(std::string_view text) {
  constexpr std::string_view kForm = "00000000T000000Z-xxxxxx";
  if (text.size() != kForm.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool digit = c >= '0' && c <= '9';
    const bool fits = kForm[i] == '0' ? digit : kForm[i] == 'x' ? digit || (c >= 'a' && c <= 'f') : c == kForm[i];
    if (!fits) return false;
  }
  return true;
}

}  // namespace heimdall
