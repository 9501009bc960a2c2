#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/fd.h"
#include "store/fs/file_state.h"

namespace heimdall {

// What stands at a key or below a name.
enum class Presence {
  here,
  absent,   // the kernel said so
  outside,  // behind a symbolic link or a mount: not part of the tree, whatever lies there
};

// A directory of the tree; `fd` only if presence is here.
struct OpenedDirectory {
  Presence presence = Presence::absent;
  UniqueFd fd;
};

// Parent directory and last name of a key.
struct KeyParts {
  std::string_view directory;  // "" or ending in '/'
  std::string_view name;
};
KeyParts split_key(std::string_view key);

// Whether a file can have this key: no empty, "." or ".." component, no NUL.
bool is_path_key(std::string_view key);

enum class DirectoryUse {
  lookup,  // to name things in it
  read,    // to list it
};

// A directory tree held by its root's descriptor: nothing is ever reached through a symbolic link or beyond a mount. Thread-safe.
class Tree {
 public:
  // not_found if the root is missing, invalid_argument if it is no directory, permission_denied.
  static Result<Tree> open(std::filesystem::path root);

  int root() const { return root_.get(); }
  const std::string& path() const { return path_; }

  // Proves that the root's path still leads to the directory that was opened: only then is absence believed.
  // failed_precondition otherwise (unmounted, mounted over, replaced).
  Result<void> confirm_root() const;

  // `directory` is "" or ends in '/'. Errors name it.
  Result<OpenedDirectory> open_directory(std::string_view directory, DirectoryUse use) const;
  // The sub-directory `name` of `parent`; `shown` is its key for errors.
  Result<OpenedDirectory> open_child(int parent, const char* name, DirectoryUse use, std::string_view shown) const;

  // What `name` in `directory` is, not followed. `shown` is its key for errors.
  struct Looked {
    Presence presence = Presence::absent;
    FileState state;
  };
  Result<Looked> look(int directory, const char* name, std::string_view shown) const;

  // Where the symbolic link `name` in `directory` leads to, all links behind it followed: a key, or a directory's with '/' at its end ("" is the root). nullopt:
  // to no part of this tree, or nowhere. `shown` is its key.
  Result<std::optional<std::string>> place_behind(int directory, const char* name, std::string_view shown) const;

  // What is at `key`. `directory` is its parent where presence is here. absent is proven: the root is still what it was.
  struct Found {
    Presence presence = Presence::absent;
    UniqueFd directory;
    FileState state;
  };
  Result<Found> find(std::string_view key) const;

  // Names the file system and the root in it, however it is reached.
  Result<std::string> identity() const;

 private:
  Tree(UniqueFd root, std::string path, FileState state)
      : root_(std::move(root)), path_(std::move(path)), state_(state) {}
  bool inside(const FileState& state) const;
  std::optional<std::string> key_of(std::string_view path) const;
  Result<OpenedDirectory> walk(std::string_view directory, DirectoryUse use) const;
  Result<OpenedDirectory> admit(UniqueFd fd, std::string_view shown) const;
  Error failed(int errno_value, std::string_view action, std::string_view shown) const;

  UniqueFd root_;
  std::string path_;
  FileState state_;
};

}  // namespace heimdall
