#include "io/codec.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <optional>
#include <string>

namespace heimdall {
namespace {

struct Fields {
  std::uint64_t number = 0;
  std::string bytes;
  std::optional<Timestamp> time;
  bool operator==(const Fields&) const = default;
};

std::string encode(const Fields& fields) {
  std::string record;
  append_varint(record, fields.number);
  append_bytes(record, fields.bytes);
  append_time(record, fields.time);
  return record;
}

// nullopt if the record is not exactly these fields.
std::optional<Fields> decode(std::string_view record) {
  RecordDecoder decoder(record);
  Fields fields;
  fields.number = decoder.varint();
  fields.bytes = decoder.bytes();
  fields.time = decoder.time();
  if (!decoder.ok() || !decoder.at_end()) return std::nullopt;
  return fields;
}

RC_GTEST_PROP(Codec, fields_survive, (std::uint64_t number, const std::string& bytes, std::int64_t nanoseconds)) {
  const Fields fields{number, bytes, Timestamp(std::chrono::nanoseconds(nanoseconds))};
  RC_ASSERT(decode(encode(fields)) == fields);
}

TEST(Codec, the_ends_of_the_ranges_survive) {
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, std::numeric_limits<std::uint64_t>::max()}) {
    for (const std::int64_t time : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0}, std::numeric_limits<std::int64_t>::max()}) {
      const Fields fields{number, std::string("\0\xff", 2), Timestamp(std::chrono::nanoseconds(time))};
      EXPECT_EQ(decode(encode(fields)), fields);
    }
  }
}

// Invariant 4: an unknown time stays unknown.
TEST(Codec, no_time_is_not_the_epoch) {
  EXPECT_EQ(decode(encode({1, "k", std::nullopt}))->time, std::nullopt);
  EXPECT_EQ(decode(encode({1, "k", Timestamp{}}))->time, Timestamp{});
}

// Invariant 2: no part of a record is taken for a whole one.
RC_GTEST_PROP(Codec, a_cut_or_longer_record_is_not_taken, (std::uint64_t number, const std::string& bytes, std::int64_t nanoseconds)) {
  const std::string record = encode({number, bytes, Timestamp(std::chrono::nanoseconds(nanoseconds))});
  for (std::size_t size = 0; size < record.size(); ++size) RC_ASSERT(!decode(std::string_view(record).substr(0, size)));
  RC_ASSERT(!decode(record + '\0'));
}

RC_GTEST_PROP(Codec, no_bytes_lead_the_decoder_astray, (const std::string& bytes)) { (void)decode(bytes); }

TEST(Codec, a_number_that_never_ends_is_bad) {
  RecordDecoder decoder(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12));
  decoder.varint();
  EXPECT_FALSE(decoder.ok());
}

TEST(Codec, a_length_beyond_the_end_is_bad_for_good) {
  std::string record;
  append_varint(record, std::numeric_limits<std::uint64_t>::max());
  record += "\x01";
  RecordDecoder decoder(record);
  EXPECT_EQ(decoder.bytes(), "");
  EXPECT_EQ(decoder.varint(), 1U);
  EXPECT_FALSE(decoder.ok());
}

}  // namespace
}  // namespace heimdall
