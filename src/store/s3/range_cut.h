#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ports/object_store.h"

namespace heimdall {

// Where a range of a listing can be cut: arithmetic on keys, no requests.

// At most `parts` ranges that tile `range`, cut at keys of the sorted `sample`, about equally many of them in each.
std::vector<ListRange> cut_at_sample(const ListRange& range, std::size_t parts, std::span<const std::string> sample);

// A beginning that some names of a directory share, and how much of the whole lies below it (all together: about 1).
struct Stem {
  std::string text;
  double weight = 0;
};

// Joins neighbours among `names` (sorted, distinct) to stems of about `most` weight at the most: each name begins with the stem of its group,
// which never ends inside of a UTF-8 character of the names. A name that alone is more stays alone.
std::vector<Stem> join_names(std::span<const Stem> names, double most);

// Ranges that tile `range`, one for each stem, narrowed to it. `stems` as of join_names(), of names that all lie in range.prefix. Nothing but what begins
// with one of them may have been found. Stems that lie before range.after are left out; the one around it stays with the first range.
std::vector<ListRange> cut_at_stems(const ListRange& range, std::span<const Stem> stems);
// The same in two: what is cut off has about half of the weight that lies ahead. One range where nothing lies ahead.
std::vector<ListRange> cut_off_half(const ListRange& range, std::span<const Stem> stems);

// A bound behind all keys before `stem`, and before all that begin with it. Keys are UTF-8.
std::string bound_before(std::string_view stem);

// Keys inside the range behind which the rest of it may begin, if its keys go on as range.after suggests: best first, a few. All are plain ASCII
// behind what they share with range.after.
std::vector<std::string> likely_cuts(const ListRange& range);

}  // namespace heimdall
