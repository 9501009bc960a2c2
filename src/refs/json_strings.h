#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace heimdall {

// Which strings of a JSON document are references: the `json:` of a reference.
//
//   values            every string at any depth; names of members are none
//   $.a.b  $["odd key"]  $.a[0]  $.a[*].c  $.*
//
// At the end of a path a string counts, and so does each string element of an array. Like SQL/JSON in lax mode, a member
// step goes through arrays, and [*] and [0] also take a value that is no array: that can only find more.
class JsonSelector {
 public:
  // invalid_argument shows where the path stops making sense.
  static Result<JsonSelector> parse(std::string_view text);

  // Calls `take` for each selected string, decoded, in the order of the document, until it returns an error. The view is
  // valid during the call. corrupt, showing where the text begins, if it is no JSON document: what it names is then unknown,
  // and strings already handed over are not all. A member that occurs twice counts twice. Any depth, constant stack.
  Result<void> strings(std::string_view document, const std::function<Result<void>(std::string_view)>& take) const;

  const std::string& text() const { return text_; }

  struct Step {
    enum class Kind { member, any_member, element, any_element } kind;
    std::string name;
    std::size_t index = 0;
  };

 private:
  std::string text_;
  bool all_ = false;
  std::vector<Step> steps_;
};

}  // namespace heimdall
