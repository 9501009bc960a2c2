#include "refs/postgres/postgres_rows.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/format.h"
#include "base/text.h"
#include "refs/postgres/postgres_text.h"

namespace heimdall::postgres {

namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Error refused(const Connection& connection, std::string why, std::string hint) {
  return {ErrorCode::invalid_argument, format("{}: {}", connection.endpoint().text(), why), std::move(hint)};
}

Result<void> check_type(Connection& connection, const Column& column, const std::optional<JsonSelector>& json, const Wait& wait) {
  static constexpr std::array<std::uint32_t, 4> kPlain = {kBytea, kText, kVarchar, kBpchar};
  if (std::ranges::find(kPlain, column.type) != kPlain.end()) return {};
  const std::string name = printable(column.name);
  if (column.type == kJson || column.type == kJsonb) {
    if (json) return {};
    return refused(connection, format("the column '{}' holds JSON documents, which name no object by themselves", name),
                   "add `json: values` (every string in it) or `json: \"$.path\"` to this reference, or select a text with ->>");
  }
  const Parameter parameters[] = {text_parameter(std::to_string(column.type))};
  TRY_ASSIGN(const Table type, connection.query("SELECT format_type(oid, NULL), typcategory, typname FROM pg_type WHERE oid = $1::oid", parameters, wait));
  const std::string category = type.empty() ? "" : type[0].at(1).value_or("");
  const std::string type_name = type.empty() ? "" : type[0].at(2).value_or("");  // an extension's type has another oid in each database
  if (category == "A") {
    return refused(connection, format("the column '{}' is an array, {}: its text names no object", name, type[0][0].value_or("?")),
                   "select its elements: unnest(column)");
  }
  if (category == "C" || category == "R" || category == "P") {
    return refused(connection, format("the column '{}' is of type {}: its text names no object", name, type[0][0].value_or("?")),
                   "select the part of it that names the object");
  }
  if (type_name == "hstore") {
    return refused(connection, format("the column '{}' is an hstore: its text names no object", name), "select a value of it, column -> 'name', or all: svals(column)");
  }
  if (type_name == "tsvector") {
    return refused(connection, format("the column '{}' is a tsvector: its text names no object", name), "select the text that it was made from");
  }
  return {};
}

}  // namespace

bool RowShape::is_comparable() const { return !bucket && (key_type == kText || key_type == kVarchar); }

// By the send functions of the server's src/backend/utils/adt (varlena.c, varchar.c, name.c, json.c, jsonb.c), as of version 15:
//   text, varchar  textsend: the same characters as textout, converted to client_encoding by the same function
//   char(n)        bpcharsend is textsend: with its blanks, as in the text form
//   name           namesend: its characters, converted
//   json           jsonsend: its characters as they were written, converted
//   jsonb          jsonb_send: one byte, the version of the form (1), then the characters that jsonb_out writes, converted
//   bytea          byteasend: its bytes, where the text form has them in hex
// A domain is sent as its base type. All else (numbers, uuid, enums, types of extensions) has a binary form of its own.
bool RowShape::can_be_copied() const {
  static constexpr std::array<std::uint32_t, 7> kAsText = {kBytea, kName, kText, kJson, kBpchar, kVarchar, kJsonb};
  const auto is_one = [](std::uint32_t type) { return std::ranges::find(kAsText, type) != kAsText.end(); };
  return is_one(key_type) && (!bucket || is_one(bucket_type));
}

Result<RowShape> shape_of(Connection& connection, const Description& description, const std::optional<JsonSelector>& json, const Wait& wait) {
  const auto& columns = description.columns;
  RowShape shape;
  if (columns.size() == 2 && lower(columns[0].name) == "key" && lower(columns[1].name) == "bucket") {
    shape.bucket = 1;
  } else if (columns.size() == 2 && lower(columns[0].name) == "bucket" && lower(columns[1].name) == "key") {
    shape.key = 1;
    shape.bucket = 0;
  } else if (columns.size() != 1) {
    return refused(connection, format("the query yields {} columns, and not the ones that are expected", columns.size()),
                   "select one column, or two named key and bucket (SELECT path AS key, store AS bucket ...)");
  }
  const Column& key = columns[static_cast<std::size_t>(shape.key)];
  TRY(check_type(connection, key, json, wait));
  shape.key_type = key.type;
  if (shape.bucket) {
    const Column& bucket = columns[static_cast<std::size_t>(*shape.bucket)];
    TRY(check_type(connection, bucket, std::nullopt, wait));
    shape.bucket_type = bucket.type;
  }
  return shape;
}

Result<std::string_view> value_of(std::optional<std::string_view> cell, std::uint32_t type, std::string& buffer) {
  std::string_view text = cell.value_or("");
  if (type == kBpchar) text = text.substr(0, text.find_last_not_of(' ') + 1);
  if (type != kBytea || text.empty()) return text;
  if (decode_bytea(text, buffer)) return std::string_view(buffer);
  return Error{ErrorCode::corrupt, format("a bytea arrived in a form that was not asked for: \"{}\"", elide_middle(printable(text), 40))};
}

Result<std::string_view> copied_value_of(Cell cell, std::uint32_t type) {
  constexpr std::string_view kJsonbVersion = "\x01";
  std::string_view value = cell.value_or("");
  if (type == kBpchar) return value.substr(0, value.find_last_not_of(' ') + 1);
  if (type != kJsonb || !cell) return value;
  if (!value.starts_with(kJsonbVersion)) return Error{ErrorCode::corrupt, "a jsonb arrived in a form that is not known"};
  return value.substr(kJsonbVersion.size());
}

Result<void> RowReader::take(const Row& row) {
  TRY_ASSIGN(const std::string_view key, value_of(row[shape_.key], shape_.key_type, key_));
  std::optional<std::string_view> bucket;
  if (shape_.bucket) {
    TRY_ASSIGN(bucket, value_of(row[*shape_.bucket], shape_.bucket_type, bucket_));
  }
  return hand_over(key, bucket);
}

Result<void> RowReader::take_copied(std::span<const Cell> cells) {
  TRY_ASSIGN(const std::string_view key, copied_value_of(cells[static_cast<std::size_t>(shape_.key)], shape_.key_type));
  std::optional<std::string_view> bucket;
  if (shape_.bucket) {
    TRY_ASSIGN(bucket, copied_value_of(cells[static_cast<std::size_t>(*shape_.bucket)], shape_.bucket_type));
  }
  return hand_over(key, bucket);
}

Result<void> RowReader::hand_over(std::string_view key, std::optional<std::string_view> bucket) {
  if (!json_ || key.empty()) return batch_.add(key, bucket);
  return json_->strings(key, [&](std::string_view text) { return batch_.add(text, bucket); });
}

Result<std::uint64_t> read_rows(Connection& connection, const std::string& query, const RowShape& shape, const std::optional<JsonSelector>& json,
                                RowSink& sink, const Wait& wait) {
  RowBatch batch(sink);
  RowReader rows(shape, json, batch);
  const auto copy = shape.can_be_copied() ? copy_sql(query) : std::nullopt;
  if (copy) {
    CopyReader reader(shape.columns(), [&](std::span<const Cell> cells) { return rows.take_copied(cells); });
    TRY_ASSIGN(const std::uint64_t sent, connection.copy_out(*copy, [&](std::string_view piece) { return reader.feed(piece); }, wait));
    TRY(reader.finish(sent));
  } else {
    TRY(connection.stream(query, {}, [&](const Row& row) { return rows.take(row); }, wait));
  }
  TRY(batch.flush());
  return batch.rows();
}

}  // namespace heimdall::postgres
