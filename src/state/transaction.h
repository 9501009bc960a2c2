#pragma once

#include <utility>

#include "base/error.h"
#include "io/sqlite.h"

namespace heimdall {

// A write transaction, rolled back when destroyed uncommitted. It takes the write lock at once: a transaction that began by
// reading could not wait for another writer, SQLite would refuse it.
class Transaction {
 public:
  static Result<Transaction> begin(sqlite::Database& db) {
    TRY(db.execute("BEGIN IMMEDIATE"));
    return Transaction(db);
  }
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  // After some failures SQLite has rolled back by itself; then this says that there is no transaction.
  ~Transaction() {
    if (db_ != nullptr) (void)db_->execute("ROLLBACK");
  }

  Result<void> commit() {
    TRY(db_->execute("COMMIT"));
    db_ = nullptr;
    return {};
  }

 private:
  explicit Transaction(sqlite::Database& db) : db_(&db) {}
  sqlite::Database* db_;
};

}  // namespace heimdall
