#include "reference_source_contract.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "io/sqlite.h"
#include "refs/list_source.h"
#include "refs/sqlite_source.h"
#include "testing/fake_source.h"
#include "testing/faulty_source.h"

namespace heimdall::testing {
namespace {

// Passes everything on, so that the contract can own what the test keeps.
class Borrowed final : public ReferenceSource {
 public:
  explicit Borrowed(ReferenceSource& inner) : inner_(inner) {}
  Result<SourceIdentity> identity() override { return inner_.identity(); }
  Result<ReadSummary> read(RowSink& sink, std::stop_token stop) override { return inner_.read(sink, stop); }
  bool can_read_again() const override { return inner_.can_read_again(); }
  Result<LookupCost> lookup_cost() override { return inner_.lookup_cost(); }
  Result<ReadSummary> lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) override {
    return inner_.lookup(values, sink, stop);
  }
  Result<void> wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) override {
    return inner_.wait_for_writers(mark, patience, stop);
  }

 private:
  ReferenceSource& inner_;
};

class Fake final : public ReferencesUnderTest {
 public:
  void set(const std::vector<std::string>& values) override {
    fake_.data().rows.clear();
    for (const std::string& value : values) fake_.add(value);
  }
  std::unique_ptr<ReferenceSource> source() override { return std::make_unique<Borrowed>(fake_); }
  std::unique_ptr<ReferenceSource> another_source() override {
    FakeSourceData data;
    data.identity.database = "fake:2";
    return std::make_unique<FakeSource>(std::move(data));
  }
  void destroy() override {}

 private:
  FakeSource fake_;
};

// The decorator with nothing planned must be the source itself.
class Faultless final : public ReferencesUnderTest {
 public:
  void set(const std::vector<std::string>& values) override { fake_.set(values); }
  std::unique_ptr<ReferenceSource> source() override {
    inner_.push_back(fake_.source());
    return std::make_unique<FaultySource>(*inner_.back(), SourceFaultPlan{});
  }
  std::unique_ptr<ReferenceSource> another_source() override { return fake_.another_source(); }
  void destroy() override {}

 private:
  Fake fake_;
  std::vector<std::unique_ptr<ReferenceSource>> inner_;
};

class InDirectory : public ReferencesUnderTest {
 public:
  explicit InDirectory(FakeClock& clock) : clock_(clock) {
    std::string name = std::filesystem::temp_directory_path() / "heimdall-contract-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~InDirectory() override { std::filesystem::remove_all(directory_); }
  void destroy() override { std::filesystem::remove(directory_ / "one"); }

 protected:
  std::filesystem::path directory_;
  FakeClock& clock_;
};

class Sqlite final : public InDirectory {
 public:
  enum class Form { query, column };
  Sqlite(FakeClock& clock, Form form) : InDirectory(clock), form_(form) { fill("two", {"z"}); }
  void set(const std::vector<std::string>& values) override { fill("one", values); }
  std::unique_ptr<ReferenceSource> source() override { return on("one"); }
  std::unique_ptr<ReferenceSource> another_source() override { return on("two"); }

 private:
  void fill(const char* name, const std::vector<std::string>& values) {
    auto db = sqlite::Database::open(directory_ / name, sqlite::OpenMode::create, std::chrono::seconds(1)).value();
    EXPECT_TRUE(db.execute("PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS files(path TEXT); BEGIN; DELETE FROM files"));
    auto insert = db.prepare("INSERT INTO files VALUES (?)").value();
    for (const std::string& value : values) {
      insert.reset();
      insert.bind_text(1, value);
      EXPECT_TRUE(insert.step());
    }
    insert.reset();
    EXPECT_TRUE(db.execute("COMMIT"));
  }
  std::unique_ptr<ReferenceSource> on(const char* name) {
    SqliteSourceOptions options;
    options.path = directory_ / name;
    if (form_ == Form::query) {
      options.query = "SELECT path FROM files";
    } else {
      options.table = "files";
      options.column = "path";
    }
    return std::make_unique<SqliteSource>(std::move(options), clock_);
  }
  Form form_;
};

class List final : public InDirectory {
 public:
  List(FakeClock& clock, ListSeparator separator) : InDirectory(clock), separator_(separator) { fill("two", {"z"}); }
  void set(const std::vector<std::string>& values) override { fill("one", values); }
  std::unique_ptr<ReferenceSource> source() override { return on("one"); }
  std::unique_ptr<ReferenceSource> another_source() override { return on("two"); }

 private:
  void fill(const char* name, const std::vector<std::string>& values) {
    std::ofstream file(directory_ / name, std::ios::binary | std::ios::trunc);
    for (const std::string& value : values) file << value << (separator_ == ListSeparator::nul ? '\0' : '\n');
  }
  std::unique_ptr<ReferenceSource> on(const char* name) {
    ListSourceOptions options;
    options.path = directory_ / name;
    options.separator = separator_;
    return std::make_unique<ListSource>(std::move(options), clock_);
  }
  ListSeparator separator_;
};

using Absence = ReferencesKind::Absence;

INSTANTIATE_TEST_SUITE_P(
    Sources, ReferenceSourceContract,
    ::testing::Values(
        ReferencesKind{"fake", [](FakeClock&) { return std::make_unique<Fake>(); }, Absence::cannot_happen},
        ReferencesKind{"faultless", [](FakeClock&) { return std::make_unique<Faultless>(); }, Absence::cannot_happen},
        ReferencesKind{"sqlite_query", [](FakeClock& clock) { return std::make_unique<Sqlite>(clock, Sqlite::Form::query); }},
        ReferencesKind{"sqlite_column", [](FakeClock& clock) { return std::make_unique<Sqlite>(clock, Sqlite::Form::column); }},
        ReferencesKind{"list", [](FakeClock& clock) { return std::make_unique<List>(clock, ListSeparator::newline); }},
        ReferencesKind{"list_nul", [](FakeClock& clock) { return std::make_unique<List>(clock, ListSeparator::nul); }}),
    [](const auto& kind) { return kind.param.name; });

// The faults do what their names say.
TEST(FaultySource, spoils_one_call_and_no_other) {
  FakeSource fake({"a", "b", "c", "d"});
  const auto read = [&](SourceFault fault, RowCollector& rows) { return FaultySource(fake, {fault, 1}).read(rows, {}); };
  RowCollector error;
  EXPECT_EQ(read(SourceFault::error, error).error().code, ErrorCode::unavailable);
  EXPECT_TRUE(error.rows().empty());
  RowCollector late;
  EXPECT_EQ(read(SourceFault::timeout_after_effect, late).error().code, ErrorCode::unavailable);
  EXPECT_EQ(late.rows().size(), 4U);
  RowCollector half;
  EXPECT_EQ(read(SourceFault::truncated, half).error().code, ErrorCode::corrupt);
  EXPECT_EQ(half.rows().size(), 2U);
  RowCollector twice;
  EXPECT_EQ(read(SourceFault::duplicated_rows, twice)->rows, 8U);
  EXPECT_EQ(twice.rows().size(), 8U);
  RowCollector backwards;
  EXPECT_TRUE(read(SourceFault::reordered_rows, backwards));
  EXPECT_EQ(backwards.values().front(), "d");

  FaultySource second(fake, {SourceFault::error, 2, SourceCall::read});
  RowCollector rows;
  EXPECT_TRUE(second.identity());
  EXPECT_TRUE(second.read(rows, {}));
  EXPECT_FALSE(second.reached());
  EXPECT_FALSE(second.read(rows, {}));
  EXPECT_TRUE(second.reached());
  EXPECT_TRUE(second.read(rows, {}));
}

}  // namespace
}  // namespace heimdall::testing
