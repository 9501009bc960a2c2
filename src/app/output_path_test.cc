#include "app/output_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "app/test_place.h"
#include "io/record_file.h"
#include "pipeline/plan.h"

namespace heimdall {
namespace {

using ::testing::HasSubstr;
using testing::Place;

constexpr OutputKind kBoth[] = {OutputKind::plan, OutputKind::dangling};

class OutputPathTest : public ::testing::Test {
 protected:
  OutputPathTest()
      : config_(place_.config("    references: [{database: local, query: \"SELECT path FROM photos\"}, {list: keys.txt}]\n")) {
    write("heimdall.yaml", "stores:\n");
    write("keys.txt", "1\n");
  }

  std::filesystem::path at(const std::string& name) const { return place_.root() / name; }
  void write(const std::string& name, const std::string& text) { std::ofstream(at(name)) << text; }
  void write_records(const std::string& name, std::string_view kind) {
    auto writer = RecordWriter::create(at(name), kind, kPlanVersion);
    ASSERT_TRUE(writer.has_value());
    ASSERT_TRUE(writer->seal().has_value());
  }
  // Empty if it may be written.
  std::string why_not(const std::filesystem::path& path, OutputKind kind) const {
    const auto checked = check_output_path(config_, path, kind);
    if (checked) return "";
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(checked.error().hint.empty());
    return checked.error().message;
  }

  Place place_;
  Config config_;
};

TEST_F(OutputPathTest, takes_a_new_file_in_a_directory_that_is_there) {
  for (const OutputKind kind : kBoth) {
    EXPECT_EQ(why_not(at("new"), kind), "");
    EXPECT_EQ(why_not("no-such-file-in-the-working-directory", kind), "");
    EXPECT_THAT(why_not(at("nowhere/new"), kind), HasSubstr("No such file or directory"));
    EXPECT_THAT(why_not(at("keys.txt/new"), kind), HasSubstr("is no directory"));
    EXPECT_THAT(why_not(at("new/"), kind), HasSubstr("no name of a file"));
    EXPECT_THAT(why_not("", kind), HasSubstr("no name of a file"));
  }
}

TEST_F(OutputPathTest, names_what_is_there_and_no_regular_file) {
  std::filesystem::create_directory(at("directory"));
  std::filesystem::create_symlink(at("new"), at("link"));
  ASSERT_EQ(mkfifo(at("pipe").c_str(), 0600), 0);
  for (const OutputKind kind : kBoth) {
    EXPECT_THAT(why_not(at("directory"), kind), HasSubstr("it is a directory"));
    EXPECT_THAT(why_not(at("link"), kind), HasSubstr("it is a symbolic link"));
    EXPECT_THAT(why_not(at("pipe"), kind), HasSubstr("it is a named pipe"));
  }
}

TEST_F(OutputPathTest, a_device_is_not_replaced) {
  for (const OutputKind kind : kBoth) EXPECT_THAT(why_not("/dev/null", kind), HasSubstr("it is a device"));
}

TEST_F(OutputPathTest, a_plan_replaces_a_plan_and_nothing_else) {
  write_records("old.plan", kPlanKind);
  write_records("ledger", "ledger");
  write("empty", "");
  write("short", "HM");
  EXPECT_EQ(why_not(at("old.plan"), OutputKind::plan), "");
  EXPECT_EQ(why_not(at("empty"), OutputKind::plan), "");
  for (const std::string name : {"ledger", "short", "heimdall.yaml", "keys.txt", "app.db"}) {
    EXPECT_THAT(why_not(at(name), OutputKind::plan), HasSubstr("no plan")) << name;
  }
}

TEST_F(OutputPathTest, dangling_references_replace_no_file_that_the_configuration_reads) {
  write("notes", "mine");
  EXPECT_EQ(why_not(at("notes"), OutputKind::dangling), "");
  EXPECT_THAT(why_not(at("heimdall.yaml"), OutputKind::dangling), HasSubstr("it is the configuration"));
  write("app.db-wal", "");
  std::filesystem::create_hard_link(at("app.db"), at("other-name"));
  for (const std::string name : {"keys.txt", "app.db", "app.db-wal", "other-name"}) {
    EXPECT_THAT(why_not(at(name), OutputKind::dangling), HasSubstr("the configuration reads it")) << name;
  }
}

TEST_F(OutputPathTest, nothing_is_written_among_objects_or_into_the_state) {
  place_.put("sub/object");
  std::filesystem::create_directories(config_.state);
  std::filesystem::create_directory_symlink(at("media"), at("way-in"));
  for (const OutputKind kind : kBoth) {
    for (const std::string name : {"media/p", "media/sub/p", "way-in/p"}) EXPECT_THAT(why_not(at(name), kind), HasSubstr("in the store 'media'")) << name;
    EXPECT_THAT(why_not(config_.state / "p", kind), HasSubstr("state directory"));
  }
}

}  // namespace
}  // namespace heimdall
