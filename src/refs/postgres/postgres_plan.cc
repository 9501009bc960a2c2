#include "refs/postgres/postgres_plan.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "base/format.h"
#include "refs/postgres/postgres_text.h"

namespace heimdall::postgres {

namespace {

using nlohmann::json;

std::string text_in(const json& node, const char* name) {
  const auto at = node.find(name);
  return at != node.end() && at->is_string() ? at->get<std::string>() : "";
}

// Whether the node runs once per row of another one.
enum class Loop { outer, inner };

PlannedScan scan_of(const json& node, Loop loop, std::string_view value) {
  PlannedScan scan{{text_in(node, "Schema"), text_in(node, "Relation Name")}};
  scan.node = text_in(node, "Node Type");
  const auto rows = node.find("Plan Rows");
  if (rows != node.end() && rows->is_number()) scan.rows = rows->get<double>();
  std::string condition = text_in(node, "Index Cond");
  if (condition.empty()) condition = text_in(node, "Recheck Cond");  // of a bitmap scan
  if (condition.empty()) return scan;
  if (!value.empty() && condition.find(value) != std::string::npos) scan.access = PlannedScan::Access::by_value;
  else if (loop == Loop::inner) scan.access = PlannedScan::Access::by_join;
  return scan;
}

// EXPLAIN may leave out what a Limit node would, so any of them counts, wherever it stands.
std::optional<std::string> why_partial(const json& node) {
  const std::string type = text_in(node, "Node Type");
  if (type == "Limit") return "LIMIT in the query's plan";
  if (type == "Sample Scan") return "TABLESAMPLE in the query's plan";
  if (type == "Foreign Scan") return "a foreign table in the query's plan, whose open transactions cannot be seen";
  return std::nullopt;
}

}  // namespace

std::set<RelationName> Plan::relations() const {
  std::set<RelationName> names;
  for (const PlannedScan& scan : scans) names.insert(scan.relation);
  return names;
}

Result<Plan> parse_plan(std::string_view text, std::string_view value) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_array() || document.empty() || !document[0].contains("Plan") || !document[0]["Plan"].is_object()) {
    return Error{ErrorCode::corrupt, "PostgreSQL's answer to EXPLAIN is no plan"};
  }
  Plan plan;
  std::vector<std::pair<const json*, Loop>> open = {{&document[0]["Plan"], Loop::outer}};
  while (!open.empty()) {
    const auto [node, loop] = open.back();
    open.pop_back();
    if (!plan.partial) plan.partial = why_partial(*node);
    if (node->contains("Relation Name")) plan.scans.push_back(scan_of(*node, loop, value));
    const auto below = node->find("Plans");
    if (below == node->end() || !below->is_array()) continue;
    const bool loops = text_in(*node, "Node Type") == "Nested Loop";
    for (const json& child : *below) {
      if (!child.is_object()) return Error{ErrorCode::corrupt, "PostgreSQL's answer to EXPLAIN is no plan"};
      const bool inner = loops && text_in(child, "Parent Relationship") == "Inner";
      open.emplace_back(&child, inner ? Loop::inner : loop);
    }
  }
  return plan;
}

Result<Plan> explain(Connection& connection, std::string_view sql, std::span<const Parameter> parameters, std::string_view value, const Wait& wait) {
  TRY_ASSIGN(const Table answer, connection.query(format("EXPLAIN (VERBOSE, FORMAT JSON) {}", sql), parameters, wait));
  std::string text;
  for (const auto& row : answer) text += row.at(0).value_or("");
  return parse_plan(text, value);
}

// EXPLAIN has locked the relations, and the transaction keeps them locked. TRUNCATE, and what rewrites or swaps a table, is not bound to
// snapshots: what committed between our snapshot and our lock makes the table look empty. pg_class tells as the snapshot sees it, but
// pg_relation_filenode() and pg_locks as it is, so a difference shows it. (VACUUM FULL looks the same; it costs a second try.)
// The estimate is the planner's: rows per page when the table was last analysed, times the pages of now.
Result<std::vector<RelationFacts>> relation_facts(Connection& connection, const std::set<RelationName>& relations, const Wait& wait) {
  static const std::string kSql = R"(
    SELECT r.s, r.t, c.relkind::text,
           round(CASE WHEN c.relpages > 0 AND c.reltuples >= 0
                        THEN c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int)
                      ELSE pg_relation_size(c.oid) / 64 END),
           (WITH RECURSIVE up(oid) AS (SELECT c.oid UNION SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.oid)
            SELECT string_agg(tn.nspname || '.' || tc.relname, ',' ORDER BY tn.nspname, tc.relname)
              FROM up JOIN pg_class tc ON tc.oid = up.oid JOIN pg_namespace tn ON tn.oid = tc.relnamespace
             WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = up.oid)),
           (c.relfilenode = 0 OR c.relfilenode IS NOT DISTINCT FROM pg_relation_filenode(c.oid))
             AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation = c.oid),
           coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int, current_setting('block_size'),
           c.relam = (SELECT oid FROM pg_am WHERE amname = 'heap')
      FROM unnest($1, $2) AS r(s, t)
      JOIN pg_namespace n ON n.nspname = r.s
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.t)";
  if (relations.empty()) return std::vector<RelationFacts>();
  std::vector<std::string_view> schemas, names;
  for (const RelationName& relation : relations) {
    schemas.push_back(relation.schema);
    names.push_back(relation.name);
  }
  const Parameter parameters[] = {text_array(schemas), text_array(names)};
  TRY_ASSIGN(const Table table, connection.query(kSql, parameters, wait));
  std::vector<RelationFacts> facts;
  for (const auto& row : table) {
    if (row[5] != "t") {
      return Error{ErrorCode::unavailable,
                   format("{}: {}.{} was emptied or written anew (TRUNCATE, ALTER TABLE) while it was looked at, so what is in it cannot be "
                          "seen", connection.endpoint().text(), row[0].value_or(""), row[1].value_or("")),
                   "run the command again"};
    }
    RelationFacts relation{{row[0].value_or(""), row[1].value_or("")}, row[2].value_or("r").front(), 0, row[4].value_or("")};
    TRY_ASSIGN(const std::uint64_t rows, parse_number(row[3].value_or("0")));
    TRY_ASSIGN(relation.blocks, parse_number(row[6]));
    TRY_ASSIGN(relation.block_size, parse_number(row[7]));
    relation.is_heap = row[8] == "t";
    relation.rows = static_cast<double>(rows);
    facts.push_back(std::move(relation));
  }
  if (facts.size() != relations.size()) {
    return Error{ErrorCode::unavailable, format("{}: a table of the query was changed while it was looked at", connection.endpoint().text()),
                 "run the command again"};
  }
  return facts;
}

std::string joined_roots(const std::vector<RelationFacts>& relations) {
  std::set<std::string> roots;
  for (const RelationFacts& relation : relations) roots.insert(relation.roots);
  std::string joined;
  for (const std::string& root : roots) joined += (joined.empty() ? "" : ",") + root;
  return joined;
}

bool is_cheap(const Plan& plan, const std::vector<RelationFacts>& relations) {
  std::map<RelationName, double> sizes;
  for (const RelationFacts& relation : relations) sizes[relation.name] = relation.rows;
  double rows = 0;
  for (const PlannedScan& scan : plan.scans) {
    if (scan.access == PlannedScan::Access::by_join) rows += scan.rows;
    if (scan.access == PlannedScan::Access::whole) rows += sizes[scan.relation];
  }
  return rows <= kCheapRows;
}

}  // namespace heimdall::postgres
