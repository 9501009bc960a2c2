#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace heimdall::testing {

// A real server for one test program, run by tests/servers/server: "minio", "versitygw", "postgresql" or "toxiproxy". It ends with
// this object, or with the process, however that ends. Have one per program, and a bucket or database per test:
//
//   TestServer& minio() {
//     static TestServer server("minio");
//     return server;
//   }
//
// What goes wrong is thrown, which fails the test that asked: a server that is missing is no reason to skip.
class TestServer {
 public:
  explicit TestServer(const std::string& kind) {
    int commands[2], answers[2];
    // No other child may hold the end whose closing ends the server.
    if (pipe2(commands, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0) fail(kind, std::strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, commands[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, answers[1], STDOUT_FILENO);
    std::string program = script();
    std::string name = kind;
    char* arguments[] = {program.data(), name.data(), nullptr};
    const int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(commands[0]);
    close(answers[1]);
    commands_ = commands[1];
    answers_ = answers[0];
    if (error != 0) {
      pid_ = -1;
      end();
      fail(kind, program + ": " + std::strerror(error));
    }
    try {
      read_answer(kind);
    } catch (...) {
      end();
      throw;
    }
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer() { end(); }

  // A fact of the line that the server printed: "endpoint", "access_key", "secret_key", "url", "socket", "api", "port", "pid", "data".
  std::string operator[](const std::string& name) const {
    const auto& fact = facts_.at(name);
    return fact.is_string() ? fact.get<std::string>() : fact.dump();
  }

  // "stop", "kill", "start", "pause" or "resume"; returns when it is done. Port and data stay.
  void tell(const std::string& word) {
    const std::string line = word + "\n";
    if (write(commands_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail(word, std::strerror(errno));
    read_answer(word);
  }

 private:
  static std::string script() {
    if (const char* named = std::getenv("HEIMDALL_STORAGE_TEST_SERVER_COMMAND")) return named;
#ifdef HEIMDALL_TEST_SERVERS
    return HEIMDALL_TEST_SERVERS;
#else
    return "tests/servers/server";
#endif
  }

  [[noreturn]] static void fail(const std::string& what, const std::string& why) {
    throw std::runtime_error("test server '" + what + "': " + why + "; run tools/test once: it installs the servers");
  }

  void read_answer(const std::string& what) {
    std::string line;
    char byte = 0;
    for (;;) {
      const ssize_t count = read(answers_, &byte, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail(what, "it ended, and said why on standard error");
      if (byte == '\n') break;
      line += byte;
    }
    facts_ = nlohmann::json::parse(line);
  }

  void end() {
    if (commands_ >= 0) close(commands_);
    if (answers_ >= 0) close(answers_);
    commands_ = answers_ = -1;
    while (pid_ > 0 && waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

  pid_t pid_ = -1;
  int commands_ = -1, answers_ = -1;
  nlohmann::json facts_;
};

}  // namespace heimdall::testing
