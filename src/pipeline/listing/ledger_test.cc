#include "pipeline/listing/ledger.h"

#include <gtest/gtest.h>

#include "pipeline/test_support.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;

ObjectMeta object(const std::string& key) { return {ObjectKey(key), 7, Timestamp(100s), "etag", ""}; }

class Ledger : public ::testing::Test {
 protected:
  void write(const std::vector<LedgerEntry>& entries) {
    auto writer = RecordWriter::create(path, kLedgerKind, kLedgerVersion);
    ASSERT_TRUE(writer);
    for (const LedgerEntry& entry : entries) ASSERT_TRUE(writer->add(encode(entry)));
    ASSERT_TRUE(writer->seal(RecordWriter::Durability::scratch));
  }
  LedgerReader open() {
    auto ledger = LedgerReader::open(path);
    EXPECT_TRUE(ledger);
    return std::move(*ledger);
  }

  testing::TempDir dir;
  std::filesystem::path path = dir.path() / "ledger";
};

TEST_F(Ledger, a_missing_one_knows_nothing) {
  LedgerReader ledger = open();
  EXPECT_EQ(*ledger.first_seen(object("a")), std::nullopt);
}

TEST_F(Ledger, answers_in_step_with_a_sorted_stream) {
  write({{object("a"), Timestamp(1s)}, {object("c"), Timestamp(3s)}, {object("d"), Timestamp(4s)}});
  LedgerReader ledger = open();
  EXPECT_EQ(*ledger.first_seen(object("a")), Timestamp(1s));
  EXPECT_EQ(*ledger.first_seen(object("b")), std::nullopt);
  EXPECT_EQ(*ledger.first_seen(object("d")), Timestamp(4s));
  EXPECT_EQ(*ledger.first_seen(object("e")), std::nullopt);
  EXPECT_EQ(*ledger.first_seen(object("f")), std::nullopt);
}

// Keys are bytes: no locale, no sign.
TEST_F(Ledger, orders_keys_as_unsigned_bytes) {
  write({{object("a"), Timestamp(1s)}, {object("\x7f"), Timestamp(2s)}, {object("\x80"), Timestamp(3s)}, {object("\xff"), Timestamp(4s)}});
  LedgerReader ledger = open();
  EXPECT_EQ(*ledger.first_seen(object("a")), Timestamp(1s));
  EXPECT_EQ(*ledger.first_seen(object("\x80")), Timestamp(3s));
  EXPECT_EQ(*ledger.first_seen(object("\xff")), Timestamp(4s));
}

// An object that was rewritten is another object: whatever changed.
TEST_F(Ledger, knows_only_this_very_object) {
  for (int field = 0; field < 5; ++field) {
    write({{object("a"), Timestamp(1s)}});
    ObjectMeta other = object("a");
    if (field == 0) other.size_bytes = 8;
    if (field == 1) other.etag = "another";
    if (field == 2) other.last_modified = Timestamp(101s);
    if (field == 3) other.version_id = "2";
    if (field == 4) other.last_modified = std::nullopt;
    LedgerReader ledger = open();
    EXPECT_EQ(*ledger.first_seen(other), std::nullopt) << field;
  }
}

TEST_F(Ledger, is_corrupt_before_its_first_answer_if_its_end_is_damaged) {
  write({{object("a"), Timestamp(1s)}, {object("b"), Timestamp(1s)}});
  std::string bytes = testing::content_of(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  testing::write_file(path, bytes);
  const auto ledger = LedgerReader::open(path);
  ASSERT_FALSE(ledger);
  EXPECT_EQ(ledger.error().code, ErrorCode::corrupt);
}

TEST_F(Ledger, a_file_of_another_kind_is_corrupt) {
  auto writer = RecordWriter::create(path, kOrphansKind, 1);
  ASSERT_TRUE(writer->seal(RecordWriter::Durability::scratch));
  EXPECT_EQ(LedgerReader::open(path).error().code, ErrorCode::corrupt);
}

TEST(LedgerEntry, survives_its_encoding_and_nothing_else_does) {
  const std::string bytes = encode(LedgerEntry{object("k"), Timestamp(-1ns)});
  const auto decoded = decode_ledger_entry(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->object, object("k"));
  EXPECT_EQ(decoded->first_seen, Timestamp(-1ns));
  EXPECT_FALSE(decode_ledger_entry(bytes + "x"));
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode_ledger_entry(bytes.substr(0, size)));
}

}  // namespace
}  // namespace heimdall
