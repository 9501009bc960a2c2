#include "daemon/notify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <ctime>
#include <map>

#include "base/format.h"
#include "io/fd.h"
#include "testing/temp_dir.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;

// Where a service manager listens. A name with '@' is abstract.
class Manager {
 public:
  explicit Manager(std::string name) : name_(std::move(name)), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    if (name_[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size() + (name_[0] == '@' ? 0 : 1));
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), length), 0) << std::strerror(errno);
  }

  ServiceManager told_by(std::map<std::string, std::string> more = {}) const {
    more["NOTIFY_SOCKET"] = name_;
    return ServiceManager::from([more](const std::string& name) {
      const auto at = more.find(name);
      return at == more.end() ? std::nullopt : std::optional(at->second);
    });
  }

  // The next message; empty if none has come.
  std::string heard() {
    char buffer[4096];
    const ssize_t size = recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return size < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(size));
  }

 private:
  std::string name_;
  UniqueFd fd_;
};

class NotifyTest : public ::testing::Test {
 protected:
  testing::TempDir dir_;
  Manager manager_{(dir_.path() / "notify").string()};
};

TEST_F(NotifyTest, says_what_becomes_of_the_service) {
  const ServiceManager service = manager_.told_by();
  service.ready("listening on 127.0.0.1:8001");
  EXPECT_EQ(manager_.heard(), "READY=1\nSTATUS=listening on 127.0.0.1:8001");
  service.status("scanning photos\n41 %");
  EXPECT_EQ(manager_.heard(), "STATUS=scanning photos 41 %");
  service.alive();
  EXPECT_EQ(manager_.heard(), "WATCHDOG=1");
  service.stopping(15s);
  EXPECT_EQ(manager_.heard(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000");
  EXPECT_EQ(manager_.heard(), "");
}

TEST_F(NotifyTest, says_when_it_began_to_reload_by_the_clock_of_the_manager) {
  const auto monotonic_us = [] {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::uint64_t(now.tv_sec) * 1'000'000 + std::uint64_t(now.tv_nsec) / 1000;
  };
  const std::uint64_t before = monotonic_us();
  manager_.told_by().reloading();
  const std::string heard = manager_.heard();
  const std::string_view start = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_TRUE(heard.starts_with(start)) << heard;
  const std::uint64_t said = std::stoull(heard.substr(start.size()));
  EXPECT_GE(said, before);
  EXPECT_LE(said, monotonic_us());
}

TEST_F(NotifyTest, reaches_an_abstract_socket) {
  Manager abstract(format("@heimdall-notify-test-{}", getpid()));
  abstract.told_by().alive();
  EXPECT_EQ(abstract.heard(), "WATCHDOG=1");
}

TEST_F(NotifyTest, is_alive_twice_as_often_as_asked) {
  EXPECT_EQ(manager_.told_by({{"WATCHDOG_USEC", "60000000"}}).watchdog(), 30s);
  EXPECT_EQ(manager_.told_by({{"WATCHDOG_USEC", "60000000"}, {"WATCHDOG_PID", format("{}", getpid())}}).watchdog(), 30s);
  EXPECT_FALSE(manager_.told_by({{"WATCHDOG_USEC", "60000000"}, {"WATCHDOG_PID", "1"}}).watchdog()) << "meant for another process";
  EXPECT_FALSE(manager_.told_by({{"WATCHDOG_USEC", "soon"}}).watchdog());
  EXPECT_FALSE(manager_.told_by().watchdog());
}

TEST_F(NotifyTest, works_without_file_descriptors) {
  const ServiceManager service = manager_.told_by();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  service.alive();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(manager_.heard(), "WATCHDOG=1");
}

TEST(NotifyWithoutManagerTest, does_nothing) {
  for (const std::string name : {"", "/", "relative", "/no/such/socket", "vsock:2:1234"}) {
    const ServiceManager service = ServiceManager::from([&](const std::string& asked) {
      return asked == "NOTIFY_SOCKET" ? std::optional(name) : std::nullopt;
    });
    service.ready("");
    service.alive();
    service.stopping(1s);
  }
  const ServiceManager service = ServiceManager::from([](const std::string&) { return std::nullopt; });
  service.ready("");
  EXPECT_FALSE(service.watchdog());
}

TEST(NotifyWithoutManagerTest, a_name_that_is_too_long_is_no_socket) {
  const ServiceManager service = ServiceManager::from([](const std::string& asked) {
    return asked == "NOTIFY_SOCKET" ? std::optional("/" + std::string(500, 'x')) : std::nullopt;
  });
  service.ready("");
}

}  // namespace
}  // namespace heimdall
