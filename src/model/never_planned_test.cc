#include "model/never_planned.h"

#include <gtest/gtest.h>

namespace heimdall {
namespace {

struct Case {
  std::vector<std::string> prefixes;
  std::vector<std::string> protect;
  std::string place;
  bool never = false;
};

class NeverPlanned : public ::testing::TestWithParam<Case> {};

TEST_P(NeverPlanned, decides) {
  BucketPolicy policy;
  policy.prefixes = GetParam().prefixes;
  for (const std::string& pattern : GetParam().protect) policy.protect.emplace_back(pattern);
  EXPECT_EQ(is_never_planned(policy, GetParam().place), GetParam().never) << GetParam().place;
}

INSTANTIATE_TEST_SUITE_P(Places, NeverPlanned, ::testing::Values(
    Case{{""}, {}, "v1/", false}, Case{{""}, {}, "v1/x", false}, Case{{""}, {}, "", false},
    // Protected, all of it.
    Case{{""}, {"v1/**"}, "v1/", true}, Case{{""}, {"v1/**"}, "v1/a/", true}, Case{{""}, {"v1/**"}, "v1/x", true}, Case{{""}, {"**"}, "v1/", true},
    Case{{""}, {"**"}, "", true}, Case{{""}, {"v?/**"}, "v1/", true}, Case{{""}, {"*/**"}, "v1/", true}, Case{{""}, {"**/raw/**"}, "a/raw/", true},
    Case{{""}, {"v1/a**"}, "v1/ab/", true}, Case{{""}, {"x", "v1/**"}, "v1/", true}, Case{{""}, {"v1/x"}, "v1/x", true},
    // Not all of it, or not surely.
    Case{{""}, {"v1/**"}, "", false}, Case{{""}, {"v1/**"}, "v2/", false}, Case{{""}, {"v1/**"}, "v", false}, Case{{""}, {"v1/*"}, "v1/", false},
    Case{{""}, {"v1/**.jpg"}, "v1/", false}, Case{{""}, {"v1/a**"}, "v1/", false}, Case{{""}, {"v1/a/**", "v1/b/**"}, "v1/", false},
    Case{{""}, {"\\**"}, "*/", false}, Case{{""}, {"v1/x"}, "v1/", false},
    // Outside of the prefixes, or around them.
    Case{{"a/"}, {}, "b/", true}, Case{{"a/"}, {}, "b/x", true}, Case{{"a/"}, {}, "a", true}, Case{{"a/"}, {}, "a/", false}, Case{{"a/"}, {}, "a/b/", false},
    Case{{"a/"}, {}, "", false}, Case{{"a/b/"}, {}, "a/", false}, Case{{"a/b/"}, {"a/b/**"}, "a/", true}, Case{{"a/", "c/"}, {"a/**"}, "", false},
    Case{{"a/", "c/"}, {"a/**"}, "a/", true}));

}  // namespace
}  // namespace heimdall
