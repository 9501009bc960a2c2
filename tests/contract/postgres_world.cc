#include "postgres_world.h"

#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/format.h"
#include "testing/fake_source.h"

namespace heimdall::testing {

namespace fs = std::filesystem;

TestServer& postgres_server() {
  static TestServer& server = *[] {
    static TestServer started("postgresql");
    Client admin(started["url"]);
    // Its transactions would be waited for, and write to the log in the middle of a test.
    admin.run("ALTER SYSTEM SET autovacuum = off");
    admin.run("SELECT pg_reload_conf()");
    return &started;
  }();
  return server;
}

Client::Client(const std::string& url) : connection_(postgres::Connection::connect({url, std::nullopt}, {}).value()) {}

std::string Client::run(const std::string& sql) {
  const auto table = connection_.query(sql);
  if (!table) throw std::runtime_error(table.error().message);
  return table->empty() || table->at(0).empty() ? "" : table->at(0).at(0).value_or("");
}

std::string postgres_url(int port, const std::string& database, const std::string& user) {
  return format("postgresql://{}@127.0.0.1:{}/{}", user, port, database);
}

TestDatabase::TestDatabase(const std::string& with) {
  static int number = 0;
  name_ = format("test_{}", ++number);
  Client(postgres_server()["url"]).run(format("CREATE DATABASE {} {}", name_, with));
}
TestDatabase::~TestDatabase() { drop(); }
void TestDatabase::drop() { Client(postgres_server()["url"]).run(format("DROP DATABASE IF EXISTS {} WITH (FORCE)", name_)); }
std::string TestDatabase::url(const std::string& user, const std::string& parameters) const {
  return postgres_url(std::stoi(postgres_server()["port"]), name_, user) + parameters;
}

PostgresSourceOptions PostgresTest::options(const std::string& query, const std::string& user) const {
  PostgresSourceOptions options;
  options.url = database_.url(user);
  options.query = query;
  return options;
}

std::vector<std::string> PostgresTest::values(const PostgresSourceOptions& with) {
  RowCollector rows;
  const auto summary = source(with).read(rows, {});
  EXPECT_TRUE(summary) << (summary ? "" : summary.error().message);
  auto found = rows.values();
  std::ranges::sort(found);
  return found;
}

Error PostgresTest::error(const PostgresSourceOptions& with) {
  RowCollector rows;
  const auto summary = source(with).read(rows, {});
  EXPECT_FALSE(summary);
  return summary ? Error{} : summary.error();
}

std::string PostgresTest::create_role(const std::string& rights) {
  const std::string name = database_.name() + "_role";
  run(format("CREATE ROLE {} LOGIN {}", name, rights));
  return name;
}

namespace {

std::string postgres_binary(const std::string& name) {
  std::vector<fs::path> found;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql")) found.push_back(version.path() / "bin" / name);
  return std::ranges::max(found);
}

int free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(probe, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
  close(probe);
  return ntohs(address.sin_port);
}

// PostgreSQL refuses to run as root. Ends with this process.
pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const passwd* user = getuid() == 0 ? getpwnam("postgres") : nullptr;
  const pid_t pid = fork();
  if (pid != 0) return pid;
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  if (user != nullptr && (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  execv(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

Replica::Replica() {
  const fs::path base = access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path();
  directory_ = base / "heimdall-replica-XXXXXX";
  if (mkdtemp(directory_.data()) == nullptr) throw std::runtime_error("no directory for a replica");
  if (const passwd* user = getpwnam("postgres"); getuid() == 0 && user != nullptr) {
    if (chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) throw std::runtime_error("chown " + directory_);
  }
  const std::string data = directory_ + "/cluster";
  const std::string log = directory_ + "/log";
  int status = 0;
  waitpid(spawn({postgres_binary("pg_basebackup"), "-D", data, "-R", "-c", "fast", "-X", "stream", "--no-sync", "-d", postgres_server()["url"]}, log),
          &status, 0);
  if (status != 0) throw std::runtime_error("pg_basebackup failed");
  port_ = free_port();
  pid_ = spawn({postgres_binary("postgres"), "-D", data, "-c", format("port={}", port_), "-c", "listen_addresses=127.0.0.1", "-c",
                "unix_socket_directories=" + directory_, "-c", "fsync=off", "-c", "hot_standby=on", "-c", "max_prepared_transactions=10",
                "-c", "max_connections=50", "-c", "dynamic_shared_memory_type=mmap"}, log);
  for (int i = 0; i < 3000; ++i) {
    if (postgres::Connection::connect({url("postgres"), std::nullopt}, {})) return;
    if (waitpid(pid_, nullptr, WNOHANG) != 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // for another process
  }
  throw std::runtime_error("the replica did not start, see " + log);
}

Replica::~Replica() {
  kill(pid_, SIGQUIT);
  waitpid(pid_, nullptr, 0);
  fs::remove_all(directory_);
}

}  // namespace heimdall::testing
