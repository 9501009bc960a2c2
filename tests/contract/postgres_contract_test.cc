#include <gtest/gtest.h>

#include "postgres_world.h"
#include "refs/postgres/postgres_text.h"
#include "reference_source_contract.h"

namespace heimdall::testing {
namespace {

// In the column form every name needs its quotes.
class Postgres final : public ReferencesUnderTest {
 public:
  enum class Form { query, column };
  Postgres(FakeClock& clock, Form form) : clock_(clock), form_(form) { create(one_); }

  void set(const std::vector<std::string>& values) override { fill(one_, values); }
  std::unique_ptr<ReferenceSource> source() override { return on(one_); }
  std::unique_ptr<ReferenceSource> another_source() override {
    two_ = std::make_unique<TestDatabase>();
    create(*two_);
    fill(*two_, {"z"});
    return on(*two_);
  }
  void destroy() override { one_.drop(); }

 private:
  static constexpr const char* kTable = R"("odd schema"."fi.l""es")";

  static void create(const TestDatabase& database) {
    Client client = database.connect();
    client.run(R"(CREATE SCHEMA "odd schema")");
    client.run(std::string("CREATE TABLE ") + kTable + R"(("a ""path"" $1" text))");
  }
  static void fill(const TestDatabase& database, const std::vector<std::string>& values) {
    Client client = database.connect();
    client.run(std::string("TRUNCATE ") + kTable);
    const std::vector<std::string_view> views(values.begin(), values.end());
    const postgres::Parameter parameters[] = {postgres::text_array(views)};
    EXPECT_TRUE(client.connection().query(std::string("INSERT INTO ") + kTable + " SELECT unnest($1)", parameters));
  }
  std::unique_ptr<ReferenceSource> on(const TestDatabase& database) {
    PostgresSourceOptions options;
    options.url = database.url();
    if (form_ == Form::query) {
      options.query = R"(SELECT "a ""path"" $1" FROM "odd schema"."fi.l""es" -- all of them)";
    } else {
      options.table = kTable;
      options.column = "a \"path\" $1";
    }
    return std::make_unique<PostgresSource>(std::move(options), clock_);
  }

  FakeClock& clock_;
  Form form_;
  TestDatabase one_;
  std::unique_ptr<TestDatabase> two_;
};

INSTANTIATE_TEST_SUITE_P(
    Sources, ReferenceSourceContract,
    ::testing::Values(ReferencesKind{"postgres_query", [](FakeClock& clock) { return std::make_unique<Postgres>(clock, Postgres::Form::query); }},
                      ReferencesKind{"postgres_column", [](FakeClock& clock) { return std::make_unique<Postgres>(clock, Postgres::Form::column); }}),
    [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace heimdall::testing
