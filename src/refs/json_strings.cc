#include "refs/json_strings.h"

#include <charconv>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

using Step = JsonSelector::Step;

bool is_array_step(const Step& step) { return step.kind == Step::Kind::element || step.kind == Step::Kind::any_element; }

// Reads `["name"]`, `[3]` or `[*]` from the front of `rest`.
std::optional<Step> bracket_step(std::string_view& rest) {
  rest.remove_prefix(1);
  Step step{Step::Kind::any_element, {}, 0};
  if (rest.starts_with('*')) {
    rest.remove_prefix(1);
  } else if (rest.starts_with('"')) {
    std::size_t end = 1;
    while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
    if (end >= rest.size()) return std::nullopt;
    const auto name = nlohmann::json::parse(rest.substr(0, end + 1), nullptr, false);
    if (!name.is_string()) return std::nullopt;
    step = {Step::Kind::member, name.get<std::string>(), 0};
    rest.remove_prefix(end + 1);
  } else {
    step.kind = Step::Kind::element;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), step.index);
    if (error != std::errc()) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  }
  if (!rest.starts_with(']')) return std::nullopt;
  rest.remove_prefix(1);
  return step;
}

// Reads `.name` or `.*`.
std::optional<Step> dot_step(std::string_view& rest) {
  rest.remove_prefix(1);
  const std::string_view name = rest.substr(0, rest.find_first_of(".[]\"'*?@()$ "));
  if (name.empty()) {
    if (!rest.starts_with('*')) return std::nullopt;
    rest.remove_prefix(1);
    return Step{Step::Kind::any_member, {}, 0};
  }
  rest.remove_prefix(name.size());
  return Step{Step::Kind::member, std::string(name), 0};
}

// Follows a document as it is parsed. Each open array or object knows how many steps of the path lead to it, if they do.
class Walker final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Walker(const std::vector<Step>* steps, const std::function<Result<void>(std::string_view)>& take)
      : steps_(steps), take_(take) {}

  bool null() override { return scalar(); }
  bool boolean(bool) override { return scalar(); }
  bool number_integer(std::int64_t) override { return scalar(); }
  bool number_unsigned(std::uint64_t) override { return scalar(); }
  bool number_float(double, const std::string&) override { return scalar(); }
  bool binary(nlohmann::json::binary_t&) override { return scalar(); }
  bool string(std::string& value) override {
    const bool selected = selects_string();
    scalar();
    if (!selected) return true;
    result_ = take_(value);
    return result_.has_value();
  }
  bool start_object(std::size_t) override { return open(Kind::object); }
  bool start_array(std::size_t) override { return open(Kind::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    if (steps_ != nullptr) open_.back().member = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    broken_at_ = position;
    return false;
  }

  std::optional<std::size_t> broken_at() const { return broken_at_; }
  Result<void> result() { return std::move(result_); }

 private:
  enum class Kind { array, object };
  struct Frame {
    Kind kind;
    std::optional<std::size_t> matched;  // steps that lead to this value; nullopt: it is not on the path
    std::size_t index = 0;
    std::string member;
  };

  // The steps that lead to the value that comes next.
  std::optional<std::size_t> matched_here() const {
    if (open_.empty()) return 0;
    const Frame& frame = open_.back();
    if (!frame.matched || *frame.matched == steps_->size()) return std::nullopt;
    const Step& step = (*steps_)[*frame.matched];
    if (frame.kind == Kind::array) {
      if (!is_array_step(step)) return frame.matched;  // a member step goes through arrays
      if (step.kind == Step::Kind::element && step.index != frame.index) return std::nullopt;
      return *frame.matched + 1;
    }
    if (is_array_step(step) || (step.kind == Step::Kind::member && step.name != frame.member)) return std::nullopt;
    return *frame.matched + 1;
  }

  // [*] and [0] take a value that is no array as an array of one.
  std::optional<std::size_t> unwrapped(std::optional<std::size_t> matched) const {
    while (matched && *matched < steps_->size() && is_array_step((*steps_)[*matched]) && (*steps_)[*matched].index == 0) {
      ++*matched;
    }
    return matched;
  }

  bool selects_string() const {
    if (steps_ == nullptr) return true;
    if (!open_.empty() && open_.back().kind == Kind::array && open_.back().matched == steps_->size()) return true;
    return unwrapped(matched_here()) == steps_->size();
  }

  bool open(Kind kind) {
    if (steps_ == nullptr) return true;
    const auto matched = matched_here();
    open_.push_back({kind, kind == Kind::object ? unwrapped(matched) : matched, 0, {}});
    return true;
  }
  bool close() {
    if (steps_ == nullptr) return true;
    open_.pop_back();
    return scalar();
  }
  // A value ended: the next element of its array has the next index.
  bool scalar() {
    if (steps_ != nullptr && !open_.empty()) ++open_.back().index;
    return true;
  }

  const std::vector<Step>* steps_;  // nullptr: every string
  const std::function<Result<void>(std::string_view)>& take_;
  std::vector<Frame> open_;
  std::optional<std::size_t> broken_at_;
  Result<void> result_;
};

}  // namespace

Result<JsonSelector> JsonSelector::parse(std::string_view text) {
  JsonSelector selector;
  selector.text_ = text;
  if (text == "values") {
    selector.all_ = true;
    return selector;
  }
  std::string_view rest = text;
  bool ok = rest.starts_with('$');
  if (ok) rest.remove_prefix(1);
  while (ok && !rest.empty()) {
    std::optional<Step> step;
    if (rest.front() == '[') step = bracket_step(rest);
    else if (rest.front() == '.') step = dot_step(rest);
    ok = step.has_value();
    if (ok) selector.steps_.push_back(*std::move(step));
  }
  if (ok) return selector;
  return Error{ErrorCode::invalid_argument,
               format("json: '{}' is no path this program knows, from '{}' on", printable(text), printable(rest)),
               "write 'values' for every string, or a path like '$.files[*].key' or '$[\"odd key\"]'"};
}

Result<void> JsonSelector::strings(std::string_view document,
                                   const std::function<Result<void>(std::string_view)>& take) const {
  Walker walker(all_ ? nullptr : &steps_, take);
  if (nlohmann::json::sax_parse(document.begin(), document.end(), &walker)) return {};
  if (!walker.broken_at()) return walker.result();
  return Error{ErrorCode::corrupt,
               format("a value is no JSON document (byte {} of \"{}\")", *walker.broken_at(),
                      elide_middle(printable(document.substr(0, 60)), 60)),
               "leave such rows out in the query (WHERE json_valid(column)), or take 'json:' away"};
}

}  // namespace heimdall
