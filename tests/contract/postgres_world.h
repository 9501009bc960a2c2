#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "refs/postgres/postgres_connection.h"
#include "refs/postgres/postgres_source.h"
#include "test_server.h"
#include "testing/fake_clock.h"

namespace heimdall::testing {

// The PostgreSQL of this program, as its administrator sees it.
TestServer& postgres_server();

// An open connection whose statements must succeed.
class Client {
 public:
  explicit Client(const std::string& url);
  // The first cell of the last result; "" for none.
  std::string run(const std::string& sql);
  postgres::Connection& connection() { return connection_; }

 private:
  postgres::Connection connection_;
};

// A database of its own, dropped at the end.
class TestDatabase {
 public:
  // `with` goes behind CREATE DATABASE name.
  explicit TestDatabase(const std::string& with = "");
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;

  const std::string& name() const { return name_; }
  std::string url(const std::string& user = "postgres", const std::string& parameters = "") const;
  Client connect() const { return Client(url()); }
  void drop();

 private:
  std::string name_;
};

// The URL of a database on a server of this machine.
std::string postgres_url(int port, const std::string& database, const std::string& user = "postgres");

// A database with one table, files(path text), and sources on it.
class PostgresTest : public ::testing::Test {
 protected:
  PostgresTest() { run("CREATE TABLE files(path text)"); }

  std::string run(const std::string& sql) { return client_.run(sql); }
  PostgresSourceOptions options(const std::string& query = "SELECT path FROM files", const std::string& user = "postgres") const;
  PostgresSource source(PostgresSourceOptions with) { return PostgresSource(std::move(with), clock_); }
  PostgresSource source(const std::string& query = "SELECT path FROM files") { return source(options(query)); }
  // What reading it yields; the error of a query that must fail.
  std::vector<std::string> values(const PostgresSourceOptions& with);
  std::vector<std::string> values(const std::string& query) { return values(options(query)); }
  Error error(const PostgresSourceOptions& with);
  Error error(const std::string& query) { return error(options(query)); }
  // A role that may log in and do nothing else.
  std::string create_role(const std::string& rights = "");

  FakeClock clock_;
  TestDatabase database_;
  Client client_ = database_.connect();
};

// Acts once, when it has its first rows.
class ActingSink final : public RowSink {
 public:
  explicit ActingSink(std::function<void()> act) : act_(std::move(act)) {}
  Result<void> add(std::span<const ReferenceRow> batch) override {
    if (rows == 0) act_();
    rows += batch.size();
    return {};
  }
  std::uint64_t rows = 0;

 private:
  std::function<void()> act_;
};

// A streaming replica of postgres_server(), taken when it is made.
class Replica {
 public:
  Replica();
  ~Replica();
  Replica(const Replica&) = delete;
  std::string url(const std::string& database, const std::string& user = "postgres") const { return postgres_url(port_, database, user); }

 private:
  std::string directory_;
  int port_ = 0;
  int pid_ = -1;
};

}  // namespace heimdall::testing
