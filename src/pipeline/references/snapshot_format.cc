#include "pipeline/references/snapshot_format.h"

#include "io/codec.h"

namespace heimdall {

namespace {

void append_optional(std::string& out, const std::optional<std::string>& text) {
  append_varint(out, text ? 1 : 0);
  if (text) append_bytes(out, *text);
}

std::optional<std::string> optional_text(RecordDecoder& in) {
  if (in.varint() == 0) return std::nullopt;
  return std::string(in.bytes());
}

}  // namespace

void encode(std::string& out, const SourceFacts& facts) {
  append_bytes(out, facts.name);
  append_bytes(out, facts.identity.database);
  append_bytes(out, facts.identity.relations);
  append_varint(out, facts.identity.position);
  append_bytes(out, facts.writers.text);
  append_time(out, facts.as_of);
  append_optional(out, facts.partial);
  for (std::uint64_t n : {facts.rows, facts.blank, facts.other_bucket, facts.ignored, facts.unmapped,
                          facts.outside_prefixes, facts.distinct_keys}) {
    append_varint(out, n);
  }
  for (std::uint64_t n : facts.by_shape) append_varint(out, n);
  for (const std::string& example : facts.shape_examples) append_bytes(out, example);
  append_varint(out, facts.unmapped_examples.size());
  for (const std::string& example : facts.unmapped_examples) append_bytes(out, example);
  append_varint(out, facts.controls.size());
  for (const ReferenceControl& control : facts.controls) {
    append_bytes(out, control.value);
    append_optional(out, control.bucket);
  }
}

SourceFacts decode_source_facts(RecordDecoder& in) {
  SourceFacts facts;
  facts.name = in.bytes();
  facts.identity.database = in.bytes();
  facts.identity.relations = in.bytes();
  facts.identity.position = in.varint();
  facts.writers.text = in.bytes();
  facts.as_of = in.time();
  facts.partial = optional_text(in);
  for (std::uint64_t* n : {&facts.rows, &facts.blank, &facts.other_bucket, &facts.ignored, &facts.unmapped,
                           &facts.outside_prefixes, &facts.distinct_keys}) {
    *n = in.varint();
  }
  for (std::uint64_t& n : facts.by_shape) n = in.varint();
  for (std::string& example : facts.shape_examples) example = in.bytes();
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) facts.unmapped_examples.emplace_back(in.bytes());
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    ReferenceControl control;
    control.value = in.bytes();
    control.bucket = optional_text(in);
    facts.controls.push_back(std::move(control));
  }
  return facts;
}

std::string encode(const SnapshotMetadata& metadata) {
  std::string out;
  append_varint(out, metadata.near_pairs_offset);
  append_varint(out, metadata.near_pairs_count);
  append_varint(out, metadata.sections.size());
  for (const SectionEntry& section : metadata.sections) {
    append_varint(out, static_cast<std::uint64_t>(section.kind));
    append_varint(out, section.source);
    append_varint(out, section.offset);
    append_varint(out, section.count);
  }
  append_varint(out, metadata.sources.size());
  for (const SourceFacts& facts : metadata.sources) encode(out, facts);
  append_varint(out, metadata.key_sample.size());
  for (const std::string& key : metadata.key_sample) append_bytes(out, key);
  return out;
}

Result<SnapshotMetadata> decode_snapshot_metadata(std::string_view bytes) {
  RecordDecoder in(bytes);
  SnapshotMetadata metadata;
  metadata.near_pairs_offset = in.varint();
  metadata.near_pairs_count = in.varint();
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    SectionEntry section{};
    section.kind = static_cast<ReferenceSnapshot::Kind>(in.varint());
    section.source = in.varint();
    section.offset = in.varint();
    section.count = in.varint();
    metadata.sections.push_back(section);
  }
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) metadata.sources.push_back(decode_source_facts(in));
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) metadata.key_sample.emplace_back(in.bytes());
  if (!in.ok() || !in.at_end()) return Error{ErrorCode::corrupt, "the snapshot's metadata does not decode"};
  return metadata;
}

}  // namespace heimdall
