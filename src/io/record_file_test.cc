#include "io/record_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "io/file.h"

namespace heimdall {
namespace {

using ::testing::HasSubstr;

class RecordFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "heimdall-record-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ / "plan";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::vector<std::string>& records) {
    auto writer = RecordWriter::create(path_, "PLAN", 3).value();
    for (const std::string& record : records) EXPECT_TRUE(writer.add(record));
    return writer.seal().value();
  }
  void put(std::string_view bytes) { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }
  std::string content() { return read_whole_file(path_, "file").value(); }
  Result<std::vector<std::string>> read() {
    TRY_ASSIGN(auto reader, RecordReader::open(path_, "PLAN", 3));
    std::vector<std::string> records;
    for (;;) {
      TRY_ASSIGN(const auto record, reader.next());
      if (!record) return records;
      records.emplace_back(*record);
    }
  }
  std::size_t files() {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory_), {}));
  }

  std::filesystem::path directory_;
  std::filesystem::path path_;
};

TEST_F(RecordFile, any_records_survive) {
  rc::check([&] {
    const auto records = *rc::gen::container<std::vector<std::string>>(rc::gen::nonEmpty<std::string>());
    const std::string digest = write(records);
    RC_ASSERT(read().value() == records);
    auto reader = RecordReader::open(path_, "PLAN", 3);
    RC_ASSERT(prove(*reader).has_value() && reader->digest() == digest);
  });
}

TEST_F(RecordFile, what_was_proved_is_read_again_whatever_lies_there_by_now) {
  const std::vector<std::string> records = {std::string(1 << 20, 'a'), "b"};
  write(records);
  auto reader = RecordReader::open(path_, "PLAN", 3);
  ASSERT_TRUE(prove(*reader));
  write({"of another file"});
  ASSERT_TRUE(reader->read_again());
  EXPECT_EQ(**reader->next(), records[0]);
  EXPECT_EQ(**reader->next(), records[1]);
  EXPECT_FALSE((*reader->next()).has_value());
}

// Invariant 5: nothing is handed out that was not there when the file was proved.
TEST_F(RecordFile, what_is_written_to_after_it_was_proved_is_corrupt) {
  write({std::string(1 << 20, 'a'), std::string(1 << 20, 'b'), "c"});
  auto reader = RecordReader::open(path_, "PLAN", 3);
  ASSERT_TRUE(prove(*reader));
  ASSERT_TRUE(reader->read_again());
  ASSERT_TRUE(reader->next());
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 << 19);
    file << 'x';
  }
  const auto next = reader->next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, ErrorCode::corrupt);
}

TEST_F(RecordFile, records_larger_than_the_buffer_survive) {
  const std::vector<std::string> records = {std::string(1 << 20, 'a'), "b", std::string((1 << 18) + 1, 'c')};
  write(records);
  EXPECT_EQ(read().value(), records);
}

TEST_F(RecordFile, no_records_are_a_file_too) {
  write({});
  EXPECT_TRUE(read()->empty());
}

// Invariant 2: a cut file is never a short one.
TEST_F(RecordFile, a_file_cut_anywhere_is_corrupt) {
  write({"first", std::string(200, 'x'), "last"});
  const std::string whole = content();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    put(whole.substr(0, size));
    const auto records = read();
    ASSERT_FALSE(records) << size;
    EXPECT_EQ(records.error().code, ErrorCode::corrupt) << size;
  }
}

// Invariant 5: what was planned is what is read.
TEST_F(RecordFile, a_file_altered_anywhere_is_corrupt) {
  write({"first", std::string(200, 'x'), "last"});
  const std::string whole = content();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const unsigned bits : {0x01U, 0x80U, 0xFFU}) {
      std::string altered = whole;
      altered[i] = static_cast<char>(static_cast<unsigned char>(altered[i]) ^ bits);
      put(altered);
      const auto records = read();
      ASSERT_FALSE(records) << i;
      EXPECT_EQ(records.error().code, ErrorCode::corrupt) << i;
    }
  }
}

TEST_F(RecordFile, a_file_with_more_behind_its_end_is_corrupt) {
  write({"first"});
  const std::string whole = content();
  for (const std::string& more : {std::string(1, '\0'), std::string("x"), whole}) {
    put(whole + more);
    EXPECT_EQ(read().error().code, ErrorCode::corrupt);
  }
}

TEST_F(RecordFile, another_kind_or_version_is_refused_by_name) {
  write({"first"});
  const auto kind = RecordReader::open(path_, "LEDGER", 3);
  ASSERT_FALSE(kind);
  EXPECT_EQ(kind.error().code, ErrorCode::corrupt);
  EXPECT_THAT(kind.error().message, HasSubstr("LEDGER"));
  const auto version = RecordReader::open(path_, "PLAN", 4);
  ASSERT_FALSE(version);
  EXPECT_THAT(version.error().message, HasSubstr("version"));
}

TEST_F(RecordFile, no_file_is_not_found) { EXPECT_EQ(read().error().code, ErrorCode::not_found); }

TEST_F(RecordFile, unsealed_it_leaves_nothing_behind_and_the_old_file_alone) {
  write({"old"});
  {
    auto writer = RecordWriter::create(path_, "PLAN", 3).value();
    ASSERT_TRUE(writer.add("new"));
    EXPECT_EQ(writer.count(), 1U);
  }
  EXPECT_EQ(read().value(), std::vector<std::string>{"old"});
  EXPECT_EQ(files(), 1U);
}

TEST_F(RecordFile, it_ends_once_and_stays_ended) {
  const std::string digest = write({"a"});
  auto reader = RecordReader::open(path_, "PLAN", 3).value();
  EXPECT_EQ(reader.next().value(), "a");
  EXPECT_EQ(reader.digest(), "");
  EXPECT_EQ(reader.next().value(), std::nullopt);
  EXPECT_EQ(reader.next().value(), std::nullopt);
  EXPECT_EQ(reader.digest(), digest);
}

}  // namespace
}  // namespace heimdall
