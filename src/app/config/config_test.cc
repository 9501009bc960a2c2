#include "app/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "app/config/test_text.h"

namespace heimdall {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A directory of its own, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "config_test_XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = fs::canonical(name);
  }
  ~TemporaryDirectory() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  const fs::path& path() const { return path_; }
  fs::path write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }

 private:
  fs::path path_;
};

Environment environment_of(std::string name, std::string value) {
  return [=](const std::string& asked) { return asked == name ? std::optional<std::string>(value) : std::nullopt; };
}

TEST(Config, relative_paths_start_at_the_directory_of_the_file) {
  const TemporaryDirectory directory;
  const fs::path file = directory.write("h.yaml", config_text());
  const Config config = load_config(file, no_environment).value();
  EXPECT_EQ(config.path, file);
  EXPECT_EQ(config.stores.at(0).directory.path, directory.path() / "media");
  EXPECT_EQ(config.databases.at(0).path, directory.path() / "app.db");
  EXPECT_EQ(config.state, directory.path() / "state");
}

TEST(Config, paths_are_normalised_and_absolute_ones_stay) {
  const Config config = parse_text(replaced(config_text(), "./media", "../data/./media/")).value();
  EXPECT_EQ(config.stores.at(0).directory.path, "/data/media");
  EXPECT_EQ(parse_text(replaced(config_text(), "./app.db", "/var/app.db")).value().databases.at(0).path, "/var/app.db");
  EXPECT_EQ(problems_of(replaced(config_text(), "./media", "~/media")), "2:34: 'path': '~' is not expanded; write the path out");
  EXPECT_EQ(problems_of(replaced(config_text(), "./media", "\"\"")), "2:34: 'path' is empty");
}

TEST(Config, the_environment_replaces_the_state_directory) {
  const std::string text = config_text("state: {path: ./figures}\n");
  EXPECT_EQ(parse_text(text).value().state, "/srv/figures");
  EXPECT_EQ(parse_config(text, "/srv/h.yaml", environment_of("HEIMDALL_STORAGE_STATE", "/var/heimdall")).value().state, "/var/heimdall");
  EXPECT_EQ(parse_config(text, "/srv/h.yaml", environment_of("HEIMDALL_STORAGE_STATE", "")).value().state, "/srv/figures");
}

TEST(Config, the_file_is_found_by_flag_then_environment_then_place) {
  const TemporaryDirectory directory;
  const fs::path missing = directory.path() / "none.yaml";
  const fs::path present = directory.write("there.yaml", "");
  const fs::path places[] = {missing, present};
  const Environment environment = environment_of("HEIMDALL_STORAGE_CONFIG", "/from/environment.yaml");
  EXPECT_EQ(find_config("flag.yaml", environment, places).value(), "flag.yaml");
  EXPECT_EQ(find_config(std::nullopt, environment, places).value(), "/from/environment.yaml");
  EXPECT_EQ(find_config(std::nullopt, no_environment, places).value(), present);
}

TEST(Config, no_file_at_all_says_what_to_do) {
  const fs::path places[] = {"/nowhere/a.yaml", "/nowhere/b.yaml"};
  const Error error = find_config(std::nullopt, no_environment, places).error();
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_EQ(error.message, "there is no configuration: looked for '/nowhere/a.yaml' and '/nowhere/b.yaml'");
  EXPECT_THAT(error.hint, HasSubstr("--config FILE"));
}

TEST(Config, a_missing_file_is_named) {
  const Error error = load_config("/nowhere/h.yaml", no_environment).error();
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.message, HasSubstr("'/nowhere/h.yaml'"));
}

TEST(Config, the_example_loads) {
  const Result<Config> config = load_config(fs::path(HEIMDALL_EXAMPLES) / "photos.yaml", no_environment);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->find_bucket("photos")->policy.mode, Mode::report);
}

TEST(Config, all_problems_are_told_in_the_order_of_the_file) {
  const std::string text = replaced(config_text("    min_age: 30\n    batch_size: 0\n"), "type: sqlite", "type: sqlit");
  EXPECT_EQ(parse_text(text).error().message,
            "/srv/h.yaml:3:25: 'type' must be one of sqlite, postgresql, not 'sqlit'; did you mean 'sqlite'?\n"
            "/srv/h.yaml:8:14: 'min_age' needs a unit; write 30d for days (one of ms, s, m, h, d, w), not '30'\n"
            "/srv/h.yaml:9:17: 'batch_size' must be a whole number from 1 to 1000 (decimal digits, without quotes), not '0'");
  EXPECT_EQ(parse_text(text).error().code, ErrorCode::invalid_argument);
}

TEST(Config, an_empty_file_is_refused) {
  EXPECT_EQ(problems_of(""), "1:1: the configuration must be a mapping of keys, not empty");
  EXPECT_EQ(problems_of("- a\n"), "1:1: the configuration must be a mapping of keys, not a list");
  EXPECT_EQ(problems_of("defaults: {}\n"), "1:1: the configuration needs the key 'stores'\n1:1: the configuration needs the key 'buckets'");
}

TEST(Config, unknown_sections_are_refused) {
  EXPECT_THAT(problems_of(config_text("bukets: []\n")),
              StartsWith("8:1: unknown key 'bukets' in the configuration; did you mean 'buckets'? known: stores, "));
  EXPECT_THAT(problems_of(config_text("state: {dir: x}\n")), StartsWith("8:9: unknown key 'dir' in the section 'state'; known: path"));
  EXPECT_THAT(problems_of(config_text("defaults: {prefixes: []}\n")),
              StartsWith("8:12: unknown key 'prefixes' in the section 'defaults'; known: min_age"));
}

TEST(Config, stores_are_checked) {
  EXPECT_EQ(problems_of(replaced(config_text(), "type: directory, ", "")), "2:10: a store needs the key 'type'");
  EXPECT_EQ(problems_of(replaced(config_text(), ", path: ./media", "")), "2:10: a store needs the key 'path'");
  EXPECT_EQ(problems_of(replaced(config_text(), "./media", "./media, age: newest")),
            "2:48: 'age' must be one of change, mtime, not 'newest'");
  EXPECT_EQ(parse_text(replaced(config_text(), "./media", "./media, age: mtime")).value().stores.at(0).directory.age,
            DirectoryAge::modification);
  EXPECT_EQ(problems_of(replaced(config_text(), "path: ./app.db", "path: \":memory:\"")),
            "3:39: 'path' must be the path of a SQLite file, not a URI or an in-memory database");
}

// A setting that is silently ignored does something else than was asked.
TEST(Config, what_is_not_implemented_is_refused) {
  EXPECT_EQ(problems_of(config_text("events: {database: app, delay: 15m}\n")),
            "8:9: the section 'events' is not implemented in this version");
  EXPECT_EQ(problems_of(config_text("defaults: {mode: quarantine}\n")), "8:18: 'mode: quarantine' is not implemented in this version");
}

TEST(Config, an_s3_store_with_all_its_keys) {
  const std::string text =
      replaced(config_text(), "{type: directory, path: ./media}",
               "{type: s3, endpoint: \"http://127.0.0.1:9000\", region: eu, path_style: true, access_key_env: A, secret_key_file: s,"
               " delete_access_key_env: B, delete_secret_key_env: C, profile: p, ca_file: ca.pem, request_timeout: 5s, server: minio, in_flight: 4}");
  ASSERT_EQ(problems_of(text), "accepted");
  const Config config = parse_text(text).value();
  const S3StoreConfig& s3 = config.stores.front().s3;
  EXPECT_EQ(s3.endpoint, "http://127.0.0.1:9000");
  EXPECT_EQ(s3.path_style, true);
  EXPECT_EQ(s3.access_key.environment, "A");
  EXPECT_EQ(s3.secret_key.file, "/srv/s");
  EXPECT_EQ(s3.ca_file, "/srv/ca.pem");
  EXPECT_EQ(s3.request_timeout, std::chrono::seconds(5));
  EXPECT_EQ(s3.server, "minio");
  EXPECT_EQ(s3.in_flight, 4U);
}

TEST(Config, how_a_bucket_is_listed_is_one_of_the_ways_there_are) {
  const auto with = [](const std::string& more) {
    return replaced(config_text(), "{type: directory, path: ./media}", "{type: s3, endpoint: \"http://h\", " + more + "}");
  };
  EXPECT_EQ(problems_of(with("server: rgw")), "accepted");
  EXPECT_THAT(problems_of(with("server: ceph")), HasSubstr("'server'"));
  EXPECT_THAT(problems_of(with("in_flight: 0")), HasSubstr("'in_flight'"));
  EXPECT_THAT(problems_of(with("in_flight: 1025")), HasSubstr("'in_flight'"));
}

TEST(Config, half_a_pair_of_keys_is_refused) {
  const std::string half = replaced(config_text(), "{type: directory, path: ./media}",
                                    "{type: s3, endpoint: \"http://h\", delete_access_key_env: B}");
  EXPECT_THAT(problems_of(half), HasSubstr("'delete_access_key' needs 'delete_secret_key_env' or 'delete_secret_key_file' beside it"));
}

TEST(Config, a_postgresql_database_with_all_its_keys) {
  const std::string text =
      replaced(config_text(), "{type: sqlite, path: ./app.db}",
               "{type: postgresql, url: \"postgresql://me@db/app\", primary_url: \"postgresql://me@primary/app\", password_file: pw, readers: 3}");
  ASSERT_EQ(problems_of(text), "accepted");
  const Config config = parse_text(text).value();
  EXPECT_EQ(config.databases.front().primary_url, "postgresql://me@primary/app");
  EXPECT_EQ(config.databases.front().password.file, "/srv/pw");
  EXPECT_EQ(config.databases.front().readers, 3U);
}

TEST(Config, what_is_not_implemented_is_checked_all_the_same) {
  EXPECT_THAT(problems_of(config_text("events: {database: ap, delay: 15}\n")), HasSubstr("8:20: 'events' names the unknown database 'ap'"));
}

TEST(Config, secrets_are_refused_and_never_repeated) {
  const std::string database = "{type: sqlite, path: ./app.db}";
  for (const char* url : {"postgresql://me:hunter2@db/app", "postgresql://db/app?user=me&password=hunter2",
                          "postgresql://me:hunt/er2@db/app", "host=db password=hunter2"}) {
    const std::string message = problems_of(replaced(config_text(), database, "{type: postgresql, url: \"" + std::string(url) + "\"}"));
    EXPECT_THAT(
        message,
        HasSubstr("3:42: 'url' holds a password (not shown), which does not belong in this file; use password_file or password_env"))
        << url;
    EXPECT_THAT(message, Not(HasSubstr("hunter2")));
    EXPECT_THAT(message, Not(HasSubstr("hunt/er2")));
  }
  EXPECT_THAT(
      problems_of(replaced(config_text(), database, "{type: postgresql, url: \"postgresql://db/app\", password: hunter2}")),
      HasSubstr("3:65: 'password' would hold a secret, which does not belong in this file; give 'password_file' or 'password_env'"));
  EXPECT_THAT(problems_of(replaced(config_text(), database, "{type: postgresql, url: \"postgresql://db/app\", password_env: hunter-2}")),
              testing::AllOf(HasSubstr("3:79: 'password_env' must be the name of an environment variable"), Not(HasSubstr("hunter-2"))));
  EXPECT_THAT(
      problems_of(replaced(config_text(), database, "{type: postgresql, url: \"postgresql://db/app\", password_env: A, password_file: b}")),
      HasSubstr("3:97: 'password_env' and 'password_file' exclude each other; give one"));
  EXPECT_EQ(problems_of_reference("{list: k.txt, base_urls: [\"https://me:hunter2@cdn.example/\"]}"),
            "7:44: this URL holds a password (not shown), which does not belong in this file");
}

// Invariant 8, through two stores.
TEST(Config, stores_do_not_overlap) {
  const auto two = [](std::string_view second) {
    return replaced(config_text(), "databases", "  other: {type: directory, path: " + std::string(second) + "}\ndatabases");
  };
  EXPECT_EQ(problems_of(two("./other")), "accepted");
  EXPECT_EQ(problems_of(two("./media-old")), "accepted");
  EXPECT_EQ(problems_of(two("media/.")),
            "3:3: the stores 'other' (/srv/media) and 'media' (/srv/media, line 2) are one directory: two stores must not reach the same "
            "files; use "
            "one store and give its buckets disjoint prefixes");
  EXPECT_THAT(problems_of(two("./media/sub")),
              StartsWith("3:3: the stores 'other' (/srv/media/sub) and 'media' (/srv/media, line 2) lie one inside the other"));
  EXPECT_THAT(problems_of(two("/srv/media/../../srv/media/x")), HasSubstr("lie one inside the other"));
}

TEST(Config, stores_do_not_overlap_through_a_link) {
  const TemporaryDirectory directory;
  fs::create_directories(directory.path() / "media" / "sub");
  fs::create_directory_symlink(directory.path() / "media" / "sub", directory.path() / "link");
  const fs::path file =
      directory.write("h.yaml", replaced(config_text(), "databases", "  other: {type: directory, path: link}\ndatabases"));
  const Result<Config> config = load_config(file, no_environment);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, StartsWith(file.string() + ":3:3: the stores 'other' "));
  EXPECT_THAT(config.error().message, HasSubstr("lie one inside the other"));
}

// Our own files are referenced by no row: among the objects they would be orphans.
TEST(Config, our_own_files_do_not_lie_among_the_objects) {
  EXPECT_THAT(problems_of(replaced(config_text(), "path: ./app.db", "path: ./media/app.db")),
              StartsWith("3:13: the SQLite database (/srv/media/app.db) lies among the objects of the bucket 'photos' and would be deleted "
                         "as an orphan; move it"));
  EXPECT_THAT(problems_of(config_text("state: {path: media/state}\n")),
              StartsWith("8:15: the state directory (/srv/media/state) lies among the objects"));
  EXPECT_THAT(problems_of_reference("{list: media/keys.txt}"),
              StartsWith("7:18: the list of keys (/srv/media/keys.txt) lies among the objects"));
  EXPECT_THAT(problems_of(replaced(config_text(), "path: ./media", "path: .")),
              HasSubstr("1:1: this configuration file (/srv/h.yaml) lies among the objects"));
  EXPECT_EQ(problems_of(replaced(config_text("    prefixes: [images/]\n"), "path: ./media", "path: .")), "accepted");
  EXPECT_THAT(problems_of(replaced(config_text("    prefixes: [state/old/]\n"), "path: ./media", "path: .")),
              HasSubstr("1:1: the state directory (/srv/state) lies"));
}

TEST(Config, a_state_directory_given_later_is_checked_like_the_configured_one) {
  Config config = parse_text(config_text()).value();
  EXPECT_EQ(use_state_directory(config, "/srv/media/s").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(config.state, "/srv/state");
  EXPECT_TRUE(use_state_directory(config, "/srv/other"));
  EXPECT_EQ(config.state, "/srv/other");
}

// A plan made under another policy is stale: whatever decides about candidates changes the digest.
TEST(Config, the_digest_covers_what_decides_and_nothing_else) {
  const auto digest = [](const std::string& text) { return parse_text(text).value().buckets.at(0).policy.digest; };
  const std::string before = digest(config_text());
  EXPECT_EQ(digest(config_text()), before);
  for (const char* more : {"mode: delete", "batch_size: 5", "max_rate: 5", "delete_workers: 3", "description: x", "guards: {max_deletes: 5}"}) {
    EXPECT_EQ(digest(config_text("    " + std::string(more) + "\n")), before) << more;
  }
  std::vector<std::string> changed = {
      replaced(config_text(), "./media", "./media2"),
      replaced(config_text(), "./media", "./media, age: mtime"),
      replaced(config_text(), "./app.db", "./app2.db"),
      replaced(config_text(), "name: photos", "name: pictures"),
      replaced(config_text(), "SELECT key", "SELECT id"),
      replaced(config_text(), "query: SELECT key FROM photos", "table: photos, column: key"),
      replaced(config_text(), "{database: app, ", "{database: app, as: key, "),
      replaced(config_text(), "{database: app, ", "{database: app, json: values, "),
      replaced(config_text(), "{database: app, ", "{database: app, companions: [\"{key}.x\"], "),
      replaced(config_text(), "{database: app, ", "{database: app, ignore_buckets: [x], "),
      replaced(config_text(), "{database: app, ", "{database: app, base_urls: [\"http://x/\"], "),
      replaced(config_text(), "photos}]", "photos}, {list: keys.txt}]"),
      replaced(config_text(), "photos}]", "photos}, {list: keys2.txt}]"),
      config_text("    prefixes: [a/]\n"),
      config_text("    prefixes: [a/]\n  - {name: b, store: media, prefixes: [b/], references: [{list: x}]}\n"),
      config_text("    min_age: 31d\n"),
      config_text("    grace: 1h\n"),
      config_text("    protect: [\"a/**\"]\n"),
      config_text("    aliases: [old]\n")};
  std::vector<std::string> digests = {before};
  for (const std::string& text : changed) {
    const std::string now = digest(text);
    EXPECT_EQ(std::ranges::count(digests, now), 0) << text;
    digests.push_back(now);
  }
}

RC_GTEST_PROP(Config, a_damaged_file_is_refused_at_a_place_or_read, (unsigned at, std::string bytes)) {
  std::string text = config_text("    prefixes: [a/]\n    protect: [\"x/**\"]\n");
  text.replace(at % text.size(), bytes.size() % 4, bytes);
  const Result<Config> config = parse_text(text);
  const bool has_place = config || config.error().message.starts_with("/srv/h.yaml:");
  RC_ASSERT(has_place);  // the macro itself would evaluate both sides of ||
}

}  // namespace
}  // namespace heimdall
