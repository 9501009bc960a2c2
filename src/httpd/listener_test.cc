#include "httpd/listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

namespace heimdall {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ListenerTest, takes_any_free_port_and_says_which) {
  const auto listener = listen_on({"127.0.0.1", 0});
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_NE(listener->port, 0);
  EXPECT_EQ(listener->address, "127.0.0.1:" + std::to_string(listener->port));
  EXPECT_TRUE(listener->is_loopback);
  EXPECT_NE(fcntl(listener->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(fcntl(listener->fd.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(ListenerTest, listens_on_names_and_on_all_addresses) {
  const auto named = listen_on({"localhost", 0});
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_TRUE(named->is_loopback);
  const auto all = listen_on({"0.0.0.0", 0});
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_FALSE(all->is_loopback);
  EXPECT_THAT(all->address, StartsWith("0.0.0.0:"));
}

TEST(ListenerTest, listens_on_ipv6) {
  const auto listener = listen_on({"::1", 0});
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << listener.error().message;
  EXPECT_TRUE(listener->is_loopback);
  EXPECT_EQ(listener->address, "[::1]:" + std::to_string(listener->port));
}

TEST(ListenerTest, says_that_a_port_is_taken) {
  const auto first = listen_on({"127.0.0.1", 0});
  ASSERT_TRUE(first);
  const auto second = listen_on({"127.0.0.1", first->port});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(second.error().message, "port " + std::to_string(first->port) + " of 127.0.0.1 is taken by another program");
  EXPECT_THAT(second.error().hint, HasSubstr("ss -ltnp"));
}

TEST(ListenerTest, says_that_a_host_is_unknown_or_elsewhere) {
  const auto unknown = listen_on({"no-such-host.invalid", 0});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(unknown.error().message, HasSubstr("'no-such-host.invalid' to listen on cannot be found"));
  const auto elsewhere = listen_on({"192.0.2.1", 0});
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(elsewhere.error().message, "this machine has no address 192.0.2.1");
}

}  // namespace
}  // namespace heimdall
