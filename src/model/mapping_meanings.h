#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/mapping.h"

namespace heimdall {

// Gathers what one value means into a Mapped, whose strings keep their memory from row to row. The first meaning that is
// added is the primary one; the empty key and repetitions are dropped.
class Meanings {
 public:
  explicit Meanings(Mapped& out) : out_(out) { out_.primary.clear(); }

  bool empty() const { return out_.primary.empty(); }
  void forget();

  void add(std::string_view key);
  // `key`, and without one and without all of its leading slashes.
  void add_with_slashes(std::string_view key);
  // As add_with_slashes(), also for what `key` decodes to, '+' being literal or a blank.
  void add_decoded(std::string_view key);
  // The key in a URL, from behind the slash before it to the URL's end: decoded first, query and fragment dropped.
  void add_url_key(std::string_view tail);
  // `folder` and what it is without its last slash; for an empty Meanings only.
  void add_folder(std::string_view folder);

  // No more meanings but the companions of those that are there. Only `kind` this_bucket has a primary one.
  void finish(Mapped::Kind kind, const std::vector<CompanionTemplate>& companions);

 private:
  bool knows(std::string_view key, std::size_t slots) const;
  std::string& next_slot();

  Mapped& out_;
  std::size_t used_ = 0;  // of out_.protecting
};

}  // namespace heimdall
