#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "refs/postgres/postgres_connection.h"

namespace heimdall::postgres {

struct RelationName {
  std::string schema, name;
  auto operator<=>(const RelationName&) const = default;
};

// One table that a plan reads, and how it gets to the rows.
struct PlannedScan {
  enum class Access {
    by_value,  // an index leads from the looked-up values to the rows
    by_join,   // an index leads from the rows of another scan to these
    whole,     // everything is read
  };
  RelationName relation;
  Access access = Access::whole;
  double rows = 0;  // estimated, per pass
  std::string node = {};  // "Seq Scan"
};

struct Plan {
  std::vector<PlannedScan> scans;
  std::optional<std::string> partial;  // why its rows cannot be all there are
  std::set<RelationName> relations() const;
};

// Reads the answer to EXPLAIN (VERBOSE, FORMAT JSON). `value` is part of a looked-up value: a condition that holds it is the one on
// $1. corrupt for anything that is no plan.
Result<Plan> parse_plan(std::string_view json, std::string_view value);

// The plan of one statement, also of one with $1. It locks what the statement reads.
Result<Plan> explain(Connection& connection, std::string_view sql, std::span<const Parameter> parameters, std::string_view value, const Wait& wait);

// What the catalog says of the relations of a plan.
struct RelationFacts {
  RelationName name;
  char kind = 'r';   // pg_class.relkind
  double rows = 0;   // estimated as the planner does it
  std::string roots; // "schema.name" of the tables that it is a partition or heir of; else its own
  std::uint64_t blocks = 0;
  std::uint64_t block_size = 8192;
  bool is_heap = false;  // stored as PostgreSQL itself does it
};
Result<std::vector<RelationFacts>> relation_facts(Connection& connection, const std::set<RelationName>& relations, const Wait& wait);

// The names of SourceIdentity::relations. A new partition is no new relation.
std::string joined_roots(const std::vector<RelationFacts>& relations);

// Whether a lookup by this plan reads at most kCheapRows rows beside those to which the values lead.
inline constexpr double kCheapRows = 10'000;
bool is_cheap(const Plan& plan, const std::vector<RelationFacts>& relations);

}  // namespace heimdall::postgres
