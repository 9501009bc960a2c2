#include <algorithm>

#include "app/config/draft.h"
#include "base/format.h"
#include "base/text.h"
#include "refs/json_strings.h"

namespace heimdall {
namespace {

std::string collapse_blanks(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank) {
      result += c;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  if (result.ends_with(' ')) result.pop_back();
  return result;
}

void read_list_reference(Section& section, ReferenceConfig& reference, SourcePolicy& source, const ReadContext& context) {
  reference.kind = ReferenceKind::list;
  if (const auto text = section.text("list")) {
    source.name = format("list: {}", *text);
    reference.list = *text == "-" ? std::filesystem::path("-") : read_path(section, "list", context).value_or("");
  }
  for (const char* const key : {"database", "query", "table", "column", "json", "recheck"}) {
    if (section.has(key)) section.problem(key, format("'{}' belongs to a database reference, not to a list", key));
  }
  if (section.boolean("null").value_or(false)) reference.line_end = ReferenceConfig::LineEnd::null;
  if (const auto age = section.duration("max_list_age")) source.max_list_age = *age;
  if (const auto text = section.text("taken_at")) {
    reference.taken_at = parse_rfc3339(*text);
    if (!reference.taken_at)
      section.problem("taken_at", format("'taken_at' must be a time such as 2026-11-23T00:14:16Z, not '{}'", printable(*text)));
  }
}

void read_rows(Section& section, ReferenceConfig& reference, SourcePolicy& source, YamlMark mark, Problems& problems) {
  const auto query = section.text("query");
  const auto table = section.text("table");
  const auto column = section.text("column");
  const bool has_column = section.has("table") || section.has("column");
  if (section.has("query") == has_column) {
    problems.add(mark, "a reference needs either 'query', or 'table' and 'column', or 'list'");
  } else if (has_column) {
    section.require("table");
    section.require("column");
    reference.kind = ReferenceKind::column;
    reference.table = table.value_or("");
    reference.column = column.value_or("");
    source.name = format("{}: {}.{}", reference.database, reference.table, reference.column);
  } else if (query) {
    reference.query = *query;
    source.name = format("{}: {}", reference.database, collapse_blanks(*query));
    if (collapse_blanks(*query).empty()) section.problem("query", "'query' is empty");
  }
}

void read_database_reference(Section& section, ReferenceConfig& reference, SourcePolicy& source, ReadContext& context) {
  if (const auto name = section.required_text("database")) {
    reference.database = *name;
    std::vector<std::string> known;
    for (const DatabaseConfig& database : context.draft.config.databases) known.push_back(database.name);
    if (std::ranges::find(known, *name) == known.end()) {
      section.problem("database", format("there is no database '{}'{} (configured: {})", printable(*name), did_you_mean(*name, known),
                                         known.empty() ? "none" : comma_list(known)));
    }
  }
  read_rows(section, reference, source, section.mark(), context.problems);
  reference.json = section.text("json");
  if (reference.json) {
    if (const auto selector = JsonSelector::parse(*reference.json); !selector) section.problem("json", with_hint(selector.error()));
  }
  reference.recheck = section.text("recheck");
  if (reference.recheck) {
    const DatabaseConfig* const database = context.draft.config.find_database(reference.database);
    if (database != nullptr && database->kind == DatabaseKind::sqlite) {
      context.draft.features.push_back({Feature::sqlite_recheck, section.mark_of("recheck")});
    }
    if (reference.recheck->find("$1") == std::string::npos) {
      section.problem("recheck", "'recheck' is a query with $1, the array of keys that are about to be deleted: SELECT ref FROM t WHERE ref = ANY($1)");
    }
  }
  for (const char* const key : {"taken_at", "null", "max_list_age"}) {
    if (section.has(key)) section.problem(key, format("'{}' belongs to a list, not to a database reference", key));
  }
}

void read_base_urls(Section& section, MappingRules& rules, Problems& problems) {
  for (Marked<std::string>& url : section.texts("base_urls")) {
    if (holds_password(url.value)) {
      problems.add(url.mark, "this URL holds a password (not shown), which does not belong in this file");
    } else if (!url.value.starts_with("http://") && !url.value.starts_with("https://")) {
      problems.add(url.mark, "a base URL begins with http:// or https://");
    } else if (url.value.find_first_of("?#") != std::string::npos) {
      problems.add(url.mark, "a base URL has no query or fragment; what stands behind '?' or '#' in a reference is dropped");
    }
    rules.base_urls.push_back(std::move(url.value));
  }
}

void read_mapping(Section& section, MappingRules& rules, BucketMarks& marks, Problems& problems) {
  const auto as = section.choice<KeyForm>(
      "as",
      {{"auto", KeyForm::automatic}, {"key", KeyForm::key}, {"uri", KeyForm::uri}, {"url", KeyForm::url}, {"prefix", KeyForm::prefix}});
  if (as) rules.as = *as;
  for (const Marked<std::string>& text : section.texts("companions")) {
    if (auto companion = CompanionTemplate::parse(text.value)) {
      rules.companions.push_back(std::move(*companion));
    } else {
      problems.add(text.mark, with_hint(companion.error()));
    }
  }
  if (rules.as == KeyForm::prefix && section.has("companions"))
    section.problem("companions", "a prefix has no companions; it protects all below");
  read_base_urls(section, rules, problems);
  for (Marked<std::string>& name : section.texts("ignore_buckets")) {
    if (check_name(name.value, name.mark, problems)) {
      rules.ignore_buckets.push_back(name.value);
      marks.ignored.push_back(std::move(name));
    }
  }
}

}  // namespace

void read_reference(const YamlNode& node, BucketConfig& bucket, BucketMarks& marks, ReadContext& context) {
  Section section(node, "a reference", context.problems);
  ReferenceConfig reference;
  SourcePolicy source;
  source.min_match_rate = bucket.policy.guards.min_match_rate;
  if (section.has("list")) {
    read_list_reference(section, reference, source, context);
  } else if (node.kind == YamlNode::Kind::mapping) {
    read_database_reference(section, reference, source, context);
  }
  for (const char* const key : {"database", "query", "table", "column", "list", "json", "recheck", "taken_at", "null", "max_list_age"}) {
    section.find(key);  // known in every reference: where it is out of place was said above
  }
  read_mapping(section, source.mapping, marks, context.problems);
  if (const auto may = section.boolean("may_be_empty")) source.may_be_empty = *may;
  if (const auto rate = section.ratio("min_match_rate")) source.min_match_rate = *rate;
  section.finish();
  marks.references.push_back(node.mark);
  bucket.references.push_back(std::move(reference));
  bucket.policy.sources.push_back(std::move(source));
}

}  // namespace heimdall
