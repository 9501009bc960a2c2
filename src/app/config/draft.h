#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/config/config.h"
#include "app/config/section.h"
#include "app/config/yaml.h"

namespace heimdall {

// What the schema knows and reads, and what a version may not be able to do yet. See state_of().
enum class Feature { quarantine, sqlite_recheck, schedules, http, events };

// Where the parts of one bucket entry stand in the file, for the checks that compare entries.
struct BucketMarks {
  YamlMark name;
  std::vector<Marked<std::string>> prefixes;  // as policy.prefixes, sorted; empty: the whole bucket
  std::vector<Marked<std::string>> aliases;
  std::vector<Marked<std::string>> ignored;  // ignore_buckets of all references
  std::vector<YamlMark> references;
  std::vector<std::string> list_texts;  // the `list:` of each reference as written, else empty
};

// A configuration that was read, but whose entries were not compared with each other yet.
struct Draft {
  Config config;
  std::vector<YamlMark> stores, databases;
  std::vector<BucketMarks> buckets;
  YamlMark state;
  std::vector<Marked<Feature>> features;  // those in use
};

// What the reading of a section needs beside its node.
struct ReadContext {
  std::filesystem::path base;  // directory of the file
  Draft& draft;
  Problems& problems;
};

// The parts of the file, each checked by itself; what is wrong goes to `problems`.
Draft read_draft(const YamlNode& root, const std::filesystem::path& base, Problems& problems);

// Called by read_draft() once stores and databases are known.
void read_buckets(const YamlNode* buckets, const YamlNode* defaults, ReadContext& context);

// The sections that the service reads: `state`, `schedules`, `http`, `health`, `events`. Called by read_draft() once databases and buckets are known.
void read_service(Section& root, ReadContext& context);

// One entry of `references:`, appended to `bucket` and `marks`.
void read_reference(const YamlNode& node, BucketConfig& bucket, BucketMarks& marks, ReadContext& context);

// A path of the file: absolute and normalised, relative ones from the file's directory. nullopt after noting a problem.
std::optional<std::filesystem::path> read_path(Section& section, std::string_view key, const ReadContext& context);

// `<name>_env` or `<name>_file`, at most one of them; what is wrong is noted.
SecretPlace read_secret(Section& section, std::string_view name, const ReadContext& context);

// Whether `name` can name a store, database, bucket or schedule in reports, files and labels; else notes why not.
bool check_name(std::string_view name, YamlMark mark, Problems& problems);

// Whether a URL or connection string seems to carry a password. Errs on the side of yes.
bool holds_password(std::string_view url);

}  // namespace heimdall
