#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/object.h"

namespace heimdall {

// What was asked for, so that the answer can be held against it.
struct ListRules {
  enum class Grouping { none, by_delimiter };

  std::string prefix = {};    // of all keys
  std::string previous = {};  // the last key that was listed before; empty: there is none
  Grouping grouping = Grouping::none;
};

// What a page says beside its objects.
struct ListHead {
  std::string next_token;                    // empty: the listing ends here
  std::optional<std::string> last_key;       // the greatest key of the page whose name is known; nullopt: there is none
  std::size_t keys = 0;                      // that were listed, those left out included
  std::vector<std::string> common_prefixes;  // in order, all longer than the asked prefix; only with grouping
};

// Reads the body of an answer to ListObjectsV2 into `page`, which takes the body over. Reads no date as nullopt; dates are whole seconds.
//
// `corrupt`, and then `page` is empty, is whatever is not the complete list that was asked for (invariant 2): another document or a cut one, keys out
// of order, not behind `previous` or not under the prefix, more or longer keys than S3 can have, a wrong count, groups that nobody asked for, or a
// page that goes on without a key or a token. A page that lies costs no more memory than a few times its size.
//
// Keys in which a server that does not encode them wrote U+FFFD are left out, and groups likewise: it stands for bytes that XML cannot carry, so the
// object's name is not known, and what is not known is kept (invariant 4).
Result<ListHead> read_list_page(std::string body, const ListRules& rules, ObjectPage& page);

}  // namespace heimdall
