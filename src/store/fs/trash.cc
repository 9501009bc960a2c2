#include "store/fs/trash.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/crash_point.h"
#include "base/format.h"
#include "base/text.h"
#include "io/sha256.h"

namespace heimdall {

namespace {

using Kind = RemoveOutcome::Kind;

constexpr const char* kTrash = ".heimdall-trash";

bool lacks_noreplace(int errno_value) { return errno_value == EINVAL || errno_value == ENOSYS; }

// 0 or errno. Where the file system cannot refuse to replace (NFS), looking first does: nobody else writes into the trash.
int move_in(const Tree& tree, int directory, const char* name, int trash, const std::string& entry) {
  if (renameat2(directory, name, trash, entry.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (!lacks_noreplace(errno)) return errno;
  const auto there = tree.look(trash, entry.c_str(), entry);
  if (!there) return EIO;
  if (there->presence != Presence::absent) return EEXIST;
  return renameat(directory, name, trash, entry.c_str()) == 0 ? 0 : errno;
}

// 0 or errno. A link never replaces, so it stands in where the rename cannot refuse to.
int move_out(int trash, const std::string& entry, int directory, const char* name) {
  if (renameat2(trash, entry.c_str(), directory, name, RENAME_NOREPLACE) == 0) return 0;
  if (!lacks_noreplace(errno)) return errno;
  if (linkat(trash, entry.c_str(), directory, name, 0) != 0) return errno;
  return unlinkat(trash, entry.c_str(), 0) == 0 ? 0 : errno;
}

bool is_absent(const Tree& tree, std::string_view key) {
  const auto found = tree.find(key);
  return found && found->presence == Presence::absent;
}

std::string reason(int errno_value, std::string_view what) { return system_error(errno_value, what).message; }

}  // namespace

bool is_file_of(const ObjectMeta& object, const FileState& state) {
  return state.kind == FileKind::regular && state.size_bytes == object.size_bytes && same_file(object.etag, state);
}

Result<Trash> Trash::open(const Tree& tree, IfMissing if_missing) {
  if (if_missing == IfMissing::create && mkdirat(tree.root(), kTrash, 0700) != 0 && errno != EEXIST) {
    Error error = system_error(errno, format("cannot create '{}' in '{}'", kTrash, printable(tree.path())));
    if (error.code == ErrorCode::permission_denied) error.hint = "deleting needs write permission on the store's root directory";
    return error;
  }
  TRY_ASSIGN(OpenedDirectory opened, tree.open_child(tree.root(), kTrash, DirectoryUse::lookup, kTrash));
  if (opened.presence == Presence::outside || (if_missing == IfMissing::create && opened.presence == Presence::absent)) {
    return Error{ErrorCode::failed_precondition,
                 format("'{}' in '{}' is not a plain directory on the same file system", kTrash, printable(tree.path())),
                 "find out who put it there, then move it away"};
  }
  return Trash(tree, std::move(opened.fd));
}

Trash::~Trash() {
  if (!fd_) return;
  fd_.reset();
  unlinkat(tree_->root(), kTrash, AT_REMOVEDIR);  // fails if something is left in it, as it should
}

std::string Trash::where(const std::string& entry) const { return format("{}/{}", kTrash, entry); }

RemoveOutcome Trash::remove(const ObjectMeta& object, AgeFrom age, const SendGate& gate) {
  const std::string& key = object.key.bytes();
  if (is_reserved_key(key)) return {Kind::failed, "the key is reserved"};
  if (!object.last_modified) return {Kind::failed, "its date is unknown"};
  const auto found = tree_->find(key);
  if (!found) return {Kind::failed, found.error().message};
  if (found->presence == Presence::absent) return {Kind::already_gone, ""};
  if (found->presence == Presence::outside) return {Kind::changed, "it is behind a symbolic link or a mount now"};
  if (found->state.kind != FileKind::regular) return {Kind::changed, "it is no regular file any more"};
  const FileTag tag(found->state, age);
  if (!is_file_of(object, found->state) || tag.text() != object.etag || age_of(found->state, age) != object.last_modified) {
    return {Kind::changed, "the file was rewritten"};
  }
  if (!gate.is_open()) return {Kind::not_sent, ""};
  const std::string name(split_key(key).name);
  const std::string entry = sha256_hex(key);
  const int error = move_in(*tree_, found->directory.get(), name.c_str(), fd_.get(), entry);
  if (error == EEXIST) {
    return {Kind::failed, format("an earlier deletion of this key was not finished: look at '{}'", where(entry))};
  }
  if (error == ENOENT && is_absent(*tree_, key)) return {Kind::already_gone, ""};
  if (error != 0) return {Kind::failed, reason(error, "cannot move it into the trash")};
  crash_point("store.fs.renamed");
  return finish(object, found->directory.get(), name.c_str(), entry, gate);
}

// From here on nobody can reach the file by its key: what is seen now is what is unlinked.
RemoveOutcome Trash::finish(const ObjectMeta& object, int directory, const char* name, const std::string& entry,
                            const SendGate& gate) {
  const auto looked = tree_->look(fd_.get(), entry.c_str(), where(entry));
  if (!looked) return {Kind::in_doubt, looked.error().message};
  if (looked->presence == Presence::absent) return {Kind::in_doubt, format("'{}' vanished", where(entry))};
  if (!is_file_of(object, looked->state)) {
    return undo(directory, name, entry, {Kind::changed, "the file was replaced just before it was deleted"});
  }
  if (!gate.is_open()) return undo(directory, name, entry, {Kind::not_sent, ""});
  if (unlinkat(fd_.get(), entry.c_str(), 0) != 0) {
    return undo(directory, name, entry, {Kind::failed, reason(errno, "cannot unlink it")});
  }
  crash_point("store.fs.unlinked");
  return {Kind::deleted, ""};
}

RemoveOutcome Trash::undo(int directory, const char* name, const std::string& entry, RemoveOutcome outcome) {
  const int error = move_out(fd_.get(), entry, directory, name);
  if (error == 0) return outcome;
  return {Kind::in_doubt, reason(error, format("cannot put it back from '{}'", where(entry)))};
}

std::optional<RemoveOutcome> Trash::settle(const ObjectMeta& object) {
  const std::string& key = object.key.bytes();
  const std::string entry = sha256_hex(key);
  const auto trashed = tree_->look(fd_.get(), entry.c_str(), where(entry));
  if (!trashed) return RemoveOutcome{Kind::in_doubt, trashed.error().message};
  if (trashed->presence == Presence::absent) return std::nullopt;

  const KeyParts parts = split_key(key);
  const auto parent = tree_->open_directory(parts.directory, DirectoryUse::lookup);
  if (!parent) return RemoveOutcome{Kind::in_doubt, parent.error().message};
  if (parent->presence != Presence::here) {
    return RemoveOutcome{Kind::failed, format("its directory is gone, so it could not be put back: it lies in '{}'", where(entry))};
  }
  const std::string name(parts.name);
  const int error = move_out(fd_.get(), entry, parent->fd.get(), name.c_str());
  if (error == EEXIST) return settle_occupied(object, parent->fd.get(), name.c_str(), entry, trashed->state);
  if (error != 0) return RemoveOutcome{Kind::in_doubt, reason(error, format("cannot put it back from '{}'", where(entry)))};
  if (is_file_of(object, trashed->state)) return RemoveOutcome{Kind::failed, "its deletion was interrupted: it was put back"};
  return RemoveOutcome{Kind::changed, "its deletion was interrupted: another file was in the trash, it was put back"};
}

// The key was taken again since: the newer file stays, whatever it is.
std::optional<RemoveOutcome> Trash::settle_occupied(const ObjectMeta& object, int directory, const char* name, const std::string& entry,
                                                    const FileState& trashed) {
  const auto now = tree_->look(directory, name, object.key.bytes());
  if (!now) return RemoveOutcome{Kind::in_doubt, now.error().message};
  // Putting back by link was interrupted between its two steps: both names are the one file.
  const bool linked = now->presence == Presence::here && now->state.inode == trashed.inode;
  if (!linked && !is_file_of(object, trashed)) {
    return RemoveOutcome{Kind::failed, format("another file is at the key now, and what was there before lies in '{}'", where(entry))};
  }
  if (unlinkat(fd_.get(), entry.c_str(), 0) != 0) {
    return RemoveOutcome{Kind::in_doubt, reason(errno, format("cannot unlink '{}'", where(entry)))};
  }
  if (linked) return std::nullopt;
  return RemoveOutcome{Kind::deleted, "another file is at the key now"};
}

}  // namespace heimdall
