#include "io/usable_memory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace heimdall {
namespace {

class GroupMemory : public ::testing::Test {
 protected:
  GroupMemory() : root_(std::filesystem::path(::testing::TempDir()) / "groups") {}
  ~GroupMemory() override { std::filesystem::remove_all(root_); }
  void limit(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << "\n";
  }

  std::filesystem::path root_;
};

TEST_F(GroupMemory, none_that_can_be_read_is_no_limit) {
  EXPECT_EQ(group_memory_limit("0::/a/b\n", root_), std::nullopt);
  EXPECT_EQ(group_memory_limit("", root_), std::nullopt);
  EXPECT_EQ(group_memory_limit("nonsense\n:\n", root_), std::nullopt);
  limit("memory.max", "max");
  EXPECT_EQ(group_memory_limit("0::/\n", root_), std::nullopt);
}

TEST_F(GroupMemory, the_lowest_on_the_way_up_counts) {
  limit("a/memory.max", "1000");
  limit("a/b/memory.max", "max");
  EXPECT_EQ(group_memory_limit("0::/a/b\n", root_), 1000U);
  limit("a/b/memory.max", "300");
  EXPECT_EQ(group_memory_limit("0::/a/b\n", root_), 300U);
  EXPECT_EQ(group_memory_limit("0::/elsewhere\n", root_), std::nullopt);
}

// In a container the path is the one outside of it, or "/".
TEST_F(GroupMemory, of_a_container_lies_at_the_root) {
  limit("memory.max", "500");
  EXPECT_EQ(group_memory_limit("0::/docker/0123\n", root_), 500U);
}

TEST_F(GroupMemory, version_one_has_a_tree_of_its_own_for_memory) {
  limit("memory/a/memory.limit_in_bytes", "700");
  EXPECT_EQ(group_memory_limit("5:cpu,memory:/a\n3:devices:/a\n0::/\n", root_), 700U);
}

TEST(UsableMemory, is_some) { EXPECT_GT(usable_memory_bytes(), 1U << 20U); }

}  // namespace
}  // namespace heimdall
