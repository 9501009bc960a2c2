#include <gmock/gmock.h>

#include "postgres_world.h"
#include "testing/fake_source.h"

namespace heimdall::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PostgresReplica : public PostgresTest {
 protected:
  PostgresReplica() { run("INSERT INTO files VALUES ('a')"); }

  PostgresSourceOptions on_replica() const {
    auto with = options();
    with.url = replica_.url(database_.name());
    with.primary_url = database_.url();
    return with;
  }
  PostgresSource patient(const PostgresSourceOptions& with) { return PostgresSource(with, real_clock_); }
  Client on_replica_client() const { return Client(replica_.url("postgres")); }

  SystemClock real_clock_;
  Replica replica_;
};

// One test, as a replica takes a second to make.
TEST_F(PostgresReplica, reads_only_what_the_primary_vouches_for) {
  // What it has not replayed would count as absent.
  auto alone = on_replica();
  alone.primary_url.reset();
  for (const Error& refused : {source(alone).identity().error(), error(alone), source(alone).lookup_cost().error(), source(alone).hold("x").error()}) {
    EXPECT_EQ(refused.code, ErrorCode::failed_precondition) << refused.message;
    EXPECT_THAT(refused.hint, HasSubstr("primary_url"));
  }
  auto upside_down = options();
  upside_down.primary_url = replica_.url(database_.name());
  EXPECT_EQ(error(upside_down).code, ErrorCode::failed_precondition);
  TestDatabase other;
  auto elsewhere = on_replica();
  elsewhere.primary_url = other.url();
  EXPECT_THAT(error(elsewhere).message, HasSubstr("hold other data"));

  // Several readers meet in one snapshot there, too.
  run("CREATE TABLE many AS SELECT 'm' || g AS path FROM generate_series(1, 20000) g");
  auto side_by_side = on_replica();
  side_by_side.query.clear();
  side_by_side.table = "many";
  side_by_side.column = "path";
  side_by_side.small_table = 0;
  ActingSink many([&] { EXPECT_EQ(on_replica_client().run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "1"); });
  const auto read = patient(side_by_side).read(many, {});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(many.rows, 20'000U);

  // Rows that the primary has when the read begins are read, and the identity is the primary's.
  auto source = patient(on_replica());
  for (int i = 0; i < 3; ++i) {
    const std::string key = "late" + std::to_string(i);
    run("INSERT INTO files VALUES ('" + key + "')");
    RowCollector rows;
    const auto summary = source.read(rows, {});
    ASSERT_TRUE(summary) << summary.error().message;
    EXPECT_THAT(rows.values(), Contains(key));
    EXPECT_EQ(summary->writers.text, "");
    EXPECT_EQ(summary->identity.database, patient(options()).identity()->database);
    EXPECT_EQ(summary->identity.relations, "public.files");
    EXPECT_LE(summary->identity.position, patient(options()).identity()->position);
  }
  EXPECT_EQ(source.identity()->database, patient(options()).identity()->database);

  // One that does not replay is waited for only so long (by the clock that does not wait); lookups do not depend on it.
  on_replica_client().run("SELECT pg_wal_replay_pause()");
  run("INSERT INTO files VALUES ('newest')");
  EXPECT_EQ(error(on_replica()).code, ErrorCode::unavailable);
  RowCollector rows;
  const std::vector<std::string> wanted = {"newest"};
  ASSERT_TRUE(source.lookup(wanted, rows, {}));
  EXPECT_THAT(rows.values(), ElementsAre("newest"));
  Client writer = database_.connect();
  writer.run("BEGIN");
  writer.run("INSERT INTO files VALUES ('uncommitted')");
  on_replica_client().run("SELECT pg_wal_replay_resume()");
  RowCollector again;
  const auto summary = source.read(again, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(again.values(), Contains("newest"));
  EXPECT_THAT(summary->writers.text, HasSubstr("xid8:"));  // the primary's writers
  writer.run("ROLLBACK");

  // Promoted it is another database, and no replica of this primary any more (guard identity_changed).
  const auto before = patient(options()).identity().value();
  on_replica_client().run("SELECT pg_promote()");
  EXPECT_THAT(error(on_replica()).message, HasSubstr("different timelines"));
  const auto after = patient(alone).identity();
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->database, before.database.substr(0, before.database.rfind(':')) + ":2");
}

}  // namespace
}  // namespace heimdall::testing
