#pragma once

// Helpers of the tests in this folder; never part of the product.

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "state/state_database.h"
#include "testing/fake_clock.h"
#include "testing/temp_dir.h"

namespace heimdall::testing {

// Runs `body` in a forked process and returns how it ended, as waitpid() tells. The child exits with what `body` returns and
// never comes back into the test.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}
inline bool was_killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }
inline bool ended_with(int status, int code) { return WIFEXITED(status) && WEXITSTATUS(status) == code; }

inline ObjectMeta some_object(std::string key) {
  return {ObjectKey(std::move(key)), 17, Timestamp(std::chrono::seconds(1'700'000'000)), "etag", ""};
}

inline std::vector<ObjectMeta> some_objects(int count, const std::string& prefix = "key-") {
  std::vector<ObjectMeta> objects;
  for (int i = 0; i < count; ++i) objects.push_back(some_object(prefix + std::to_string(100000 + i)));
  return objects;
}

inline std::vector<Deletion> all_with(const std::vector<ObjectMeta>& objects, Outcome outcome) {
  std::vector<Deletion> deletions;
  for (const ObjectMeta& object : objects) deletions.push_back({"raw", object, outcome, ""});
  return deletions;
}

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

}  // namespace heimdall::testing
