#include "reference_source_contract.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "testing/fake_source.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

const std::vector<std::string> kValues = {"a",   "b/c.npy", "s3://bucket/a?b#c%20", "", "a", " blank ", "quo'te\"`[]", "caf\xC3\xA9",
                                          "tab\there", "cr\r", "\\N", "NULL", "%", "_"};

// What a sink was given, and an error at its n-th batch.
class StubbornSink final : public RowSink {
 public:
  Result<void> add(std::span<const ReferenceRow>) override {
    ++calls;
    return Error{ErrorCode::internal, "the disk is full"};
  }
  int calls = 0;
};

// Asks for a stop as soon as it gets rows.
class StoppingSink final : public RowSink {
 public:
  Result<void> add(std::span<const ReferenceRow>) override {
    ++calls;
    stop.request_stop();
    return {};
  }
  std::stop_source stop;
  int calls = 0;
};

// A database that serves others, too, may have moved on between two answers.
void expect_same_data(const SourceIdentity& before, const SourceIdentity& after) {
  EXPECT_EQ(after.database, before.database);
  EXPECT_EQ(after.relations, before.relations);
  EXPECT_GE(after.position, before.position);
}

TEST_P(ReferenceSourceContract, every_row_arrives_as_it_is_duplicates_and_blanks_included) {
  data_->set(kValues);
  RowCollector rows;
  const auto summary = data_->source()->read(rows, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(rows.values(), UnorderedElementsAreArray(kValues));
  EXPECT_EQ(summary->rows, kValues.size());
  EXPECT_EQ(summary->partial, std::nullopt);
  for (const FakeRow& row : rows.rows()) EXPECT_EQ(row.bucket, std::nullopt);
}

TEST_P(ReferenceSourceContract, says_that_it_is_there) {
  data_->set({"a"});
  const auto looked = data_->source()->ping({});
  EXPECT_TRUE(looked) << looked.error().message;
}

TEST_P(ReferenceSourceContract, many_rows_arrive) {
  std::vector<std::string> values;
  for (int i = 0; i < 5000; ++i) values.push_back("key/" + std::to_string(i));
  data_->set(values);
  RowCollector rows;
  const auto summary = data_->source()->read(rows, {});
  ASSERT_TRUE(summary) << summary.error().message;
  auto found = rows.values();
  std::ranges::sort(found);
  std::ranges::sort(values);
  EXPECT_EQ(found, values);
}

TEST_P(ReferenceSourceContract, no_rows_are_no_error) {
  data_->set({});
  RowCollector rows;
  const auto summary = data_->source()->read(rows, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->rows, 0U);
  EXPECT_THAT(rows.rows(), IsEmpty());
}

TEST_P(ReferenceSourceContract, a_second_read_sees_what_is_there_then) {
  data_->set({"a"});
  const auto source = data_->source();
  ASSERT_TRUE(source->can_read_again());
  RowCollector first;
  ASSERT_TRUE(source->read(first, {}));
  data_->set({"a", "b"});
  RowCollector second;
  const auto summary = source->read(second, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(second.values(), UnorderedElementsAreArray({"a", "b"}));
}

// Guard identity_changed.
TEST_P(ReferenceSourceContract, identity_is_that_of_the_data) {
  data_->set({"a"});
  const auto source = data_->source();
  const auto identity = source->identity();
  ASSERT_TRUE(identity) << identity.error().message;
  EXPECT_NE(identity->database, "");
  expect_same_data(*identity, data_->source()->identity().value());
  RowCollector rows;
  const auto summary = source->read(rows, {});
  ASSERT_TRUE(summary) << summary.error().message;
  expect_same_data(*identity, summary->identity);
  const SourceIdentity other = data_->another_source()->identity().value();
  EXPECT_FALSE(other.database == identity->database && other.relations == identity->relations);
}

// Invariant 2: what was handed over before an error does not count.
TEST_P(ReferenceSourceContract, an_error_of_the_sink_is_the_error_of_the_read) {
  data_->set(std::vector<std::string>(5000, "key"));
  StubbornSink sink;
  const auto summary = data_->source()->read(sink, {});
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ErrorCode::internal);
  EXPECT_EQ(summary.error().message, "the disk is full");
  EXPECT_EQ(sink.calls, 1);
}

TEST_P(ReferenceSourceContract, a_stop_in_the_middle_is_an_error) {
  data_->set(std::vector<std::string>(500'000, "key"));
  StoppingSink sink;
  const auto summary = data_->source()->read(sink, sink.stop.get_token());
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ErrorCode::cancelled) << summary.error().message;
}

// Invariant 2: an error is never read as absence, nor absence as emptiness.
TEST_P(ReferenceSourceContract, data_that_is_gone_is_an_error) {
  if (GetParam().absence == ReferencesKind::Absence::cannot_happen) return;
  data_->set({"a"});
  const auto source = data_->source();
  data_->destroy();
  RowCollector rows;
  const auto summary = source->read(rows, {});
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ErrorCode::not_found);
  EXPECT_NE(summary.error().hint, "");
  EXPECT_EQ(source->identity().error().code, ErrorCode::not_found);
}

TEST_P(ReferenceSourceContract, where_nobody_writes_nobody_is_waited_for) {
  data_->set({"a"});
  const auto source = data_->source();
  RowCollector rows;
  const auto summary = source->read(rows, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->writers.text, "");
  EXPECT_TRUE(source->wait_for_writers(summary->writers, 0ms, {}));
  EXPECT_EQ(clock_.slept(), 0ns);
}

// Invariant 1: a recheck is as exact as the snapshot.
TEST_P(ReferenceSourceContract, lookup_finds_exactly_the_rows_of_the_values) {
  data_->set(kValues);
  const auto source = data_->source();
  if (source->lookup_cost().value() == LookupCost::unsupported) {
    RowCollector rows;
    EXPECT_EQ(source->lookup(kValues, rows, {}).error().code, ErrorCode::failed_precondition);
    return;
  }
  RowCollector all;
  const auto summary = source->lookup(kValues, all, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(all.values(), UnorderedElementsAreArray(kValues));
  EXPECT_EQ(summary->rows, kValues.size());
  expect_same_data(summary->identity, source->identity().value());

  RowCollector some;
  const std::vector<std::string> wanted = {"b/c.npy", "absent", "A", "b/c.npy "};
  ASSERT_TRUE(source->lookup(wanted, some, {}));
  EXPECT_THAT(some.values(), UnorderedElementsAreArray({"b/c.npy"}));

  RowCollector none;
  EXPECT_EQ(source->lookup({}, none, {})->rows, 0U);
}

TEST_P(ReferenceSourceContract, lookup_takes_many_values_and_sees_new_rows) {
  data_->set({"a"});
  const auto source = data_->source();
  if (source->lookup_cost().value() == LookupCost::unsupported) return;
  RowCollector before;
  ASSERT_TRUE(source->read(before, {}));
  std::vector<std::string> wanted;
  for (int i = 0; i < 3000; ++i) wanted.push_back("key/" + std::to_string(i));
  data_->set({"a", "key/0", "key/1499", "key/2999"});
  RowCollector found;
  const auto summary = source->lookup(wanted, found, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(found.values(), UnorderedElementsAreArray({"key/0", "key/1499", "key/2999"}));
}

}  // namespace
}  // namespace heimdall::testing
