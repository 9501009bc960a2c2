#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "app/config/config.h"
#include "io/sqlite.h"
#include "testing/temp_dir.h"

namespace heimdall::testing {

// A directory of its own with a tree of files, an SQLite database and a configuration, removed at the end.
class Place {
 public:
  Place() {
    std::filesystem::create_directories(root() / "media");
    execute("CREATE TABLE photos(path TEXT)");
  }

  const std::filesystem::path& root() const { return directory_.path(); }
  void put(const std::string& key, const std::string& content = "x") {
    const auto path = root() / "media" / key;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  void execute(const std::string& sql) {
    auto db = sqlite::Database::open(root() / "app.db", sqlite::OpenMode::create, std::chrono::seconds(1));
    ASSERT_TRUE(db.has_value());
    ASSERT_TRUE(db->execute(sql).has_value());
  }

  // The usual stores, databases and one bucket "photos" whose further lines are `bucket`, each indented by four.
  Config config(const std::string& bucket, const std::string& more_buckets = "") {
    const std::string text =
        "stores:\n  media: {type: directory, path: ./media}\n"
        "databases:\n  local: {type: sqlite, path: ./app.db}\n"
        "buckets:\n  - name: photos\n    store: media\n" + bucket + more_buckets;
    auto parsed = parse_config(text, root() / "heimdall.yaml", [](const std::string&) { return std::nullopt; });
    EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().message);
    return parsed ? *parsed : Config{};
  }
  static std::string plain_references() { return "    references: [{database: local, query: \"SELECT path FROM photos\"}]\n"; }

 private:
  TempDir directory_;
};

}  // namespace heimdall::testing
