#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace heimdall {

// Where a path leads, looked up once: links resolved as far as it exists, and each directory above it.
class Place {
 public:
  explicit Place(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }
  // Whether it is `outer` or lies below it, also through a link or a bind mount.
  bool is_within(const Place& outer) const;

 private:
  // What a name and, if it exists, the file system call one directory.
  struct Level {
    std::string name;
    bool exists = false;
    std::pair<dev_t, ino_t> file{};
    bool is(const Level& other) const { return name == other.name || (exists && other.exists && file == other.file); }
  };
  std::filesystem::path path_;
  std::vector<Level> levels_;  // it, and what is above it
};

// The places of a configuration: each is looked up once, however many entries name it.
class Places {
 public:
  const Place& of(const std::filesystem::path& path) { return places_.try_emplace(path.native(), path).first->second; }

 private:
  std::map<std::string, Place> places_;
};

}  // namespace heimdall
