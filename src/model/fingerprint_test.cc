#include "model/fingerprint.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

namespace heimdall {
namespace {

// The snapshot file outlives the process: the function may not change under it.
TEST(Fingerprint, is_xxh3_with_the_salt_as_seed) {
  EXPECT_EQ(Fingerprinter(0)(""), 0x2D06800538D394C2U);
  EXPECT_EQ(Fingerprinter(0)(std::string_view()), Fingerprinter(0)(""));
}

TEST(Fingerprint, every_byte_counts) {
  const Fingerprinter fingerprint(17);
  using namespace std::string_view_literals;
  std::set<std::uint64_t> seen;
  for (std::string_view key : {""sv, "\0"sv, "\0\0"sv, "a"sv, "a\0"sv, "A"sv, "a/"sv, "/a"sv, "\xff"sv}) {
    EXPECT_TRUE(seen.insert(fingerprint(key)).second);
  }
}

// A collision of this run is not one of the next.
RC_GTEST_PROP(Fingerprint, depends_on_the_salt, (const std::string& key, std::uint64_t salt)) {
  RC_ASSERT(Fingerprinter(salt)(key) == Fingerprinter(salt)(std::string(key)));
  RC_ASSERT(Fingerprinter(salt)(key) != Fingerprinter(salt + 1)(key));
}

}  // namespace
}  // namespace heimdall
