#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/guarded.h"
#include "httpd/http_server.h"
#include "httpd/test_client.h"

namespace heimdall {
namespace {

using testing::eventually;
using testing::TestClient;
using ::testing::Contains;
using Respond = std::function<void(ServerResponse)>;
using namespace std::chrono_literals;

std::ptrdiff_t entries_of(const char* folder) { return std::distance(std::filesystem::directory_iterator(folder), {}); }
std::ptrdiff_t open_files() { return entries_of("/proc/self/fd"); }
std::ptrdiff_t threads() { return entries_of("/proc/self/task"); }

std::vector<std::string> thread_names() {
  std::vector<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::getline(std::ifstream(task.path() / "comm"), names.emplace_back());
  }
  return names;
}

class Silence : public ServerStream {
 public:
  std::optional<std::string> take() override { return ""; }
  void on_wake(std::function<void()>) override {}
};

// "/later" is answered by the test, "/stream" never says anything, "/large" is more than any buffer holds.
struct Served {
  Guarded<std::vector<Respond>> later;
  std::unique_ptr<HttpServer> server;

  Served() {
    auto made = HttpServer::start({.listen = "127.0.0.1:0"}, [this](const ServerRequest& request, Respond respond) {
      if (request.path == "/later") {
        later.lock()->push_back(std::move(respond));
      } else if (request.path == "/stream") {
        respond({.stream = std::make_shared<Silence>()});
      } else {
        respond({.body = std::make_shared<const std::string>(request.path == "/large" ? 50'000'000 : 1, 'x')});
      }
    });
    EXPECT_TRUE(made) << made.error().message;
    server = std::move(*made);
  }
  bool waits_for(std::size_t requests) {
    return eventually([&] { return later.lock()->size() == requests; });
  }
};

TEST(HttpServerStopTest, leaves_no_thread_and_no_file_whatever_was_connected) {
  const auto files_before = open_files();
  const auto threads_before = threads();
  for (int round = 0; round < 3; ++round) {
    Served served;
    const auto port = served.server->port();
    std::vector<std::unique_ptr<TestClient>> clients;
    const auto connect = [&](const std::string& text) {
      clients.push_back(std::make_unique<TestClient>(port));
      clients.back()->say(text);
    };
    for (int i = 0; i < 10; ++i) {
      connect("");
      connect("GET / HT");
      connect("GET / HTTP/1.1\r\nHost: h\r\nA: b");
      connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
      connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      connect("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
      connect("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
      connect("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
      connect("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
      clients.back()->hang_up();
    }
    ASSERT_TRUE(eventually([&] { return served.later.lock()->size() >= 10; }));
    const auto begin = std::chrono::steady_clock::now();
    served.server->stop(100ms);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    EXPECT_EQ(served.server->connections(), 0U);
    EXPECT_EQ(threads(), threads_before);
    for (const Respond& respond : *served.later.lock()) respond({});
  }
  EXPECT_EQ(open_files(), files_before);
  EXPECT_EQ(threads(), threads_before);
}

TEST(HttpServerStopTest, is_done_by_the_destructor_too) {
  const auto files_before = open_files();
  const auto threads_before = threads();
  { Served served; }
  EXPECT_EQ(open_files(), files_before);
  EXPECT_EQ(threads(), threads_before);
}

TEST(HttpServerStopTest, lets_an_answer_under_way_be_given) {
  Served served;
  TestClient client(served.server->port());
  client.get("/later");
  ASSERT_TRUE(served.waits_for(1));
  const auto begin = std::chrono::steady_clock::now();
  std::thread stopping([&] { served.server->stop(20s); });
  EXPECT_TRUE(eventually([&] { return !TestClient(served.server->port()).is_connected(); })) << "no more connections are taken";
  served.later.lock()->front()(ServerResponse::text(200, "text/plain", "in time"));
  const auto answer = client.answer();
  EXPECT_TRUE(answer && answer->body == "in time" && answer->has_line("Connection: close"));
  stopping.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s) << "it waits no longer than needed";
}

TEST(HttpServerStopTest, cuts_off_what_is_not_answered_in_time) {
  Served served;
  TestClient client(served.server->port());
  client.get("/later");
  ASSERT_TRUE(served.waits_for(1));
  served.server->stop(50ms);
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(client.said(), "");
}

TEST(HttpServerStopTest, ends_streams_properly) {
  Served served;
  TestClient client(served.server->port());
  client.get("/stream");
  ASSERT_TRUE(client.head());
  const auto begin = std::chrono::steady_clock::now();
  served.server->stop(20s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
  EXPECT_EQ(client.chunk(), "");
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServerStopTest, refuses_what_is_asked_meanwhile) {
  Served served;
  TestClient pending(served.server->port());
  pending.get("/later");
  TestClient client(served.server->port());
  client.get("/");
  ASSERT_TRUE(client.answer());
  ASSERT_TRUE(served.waits_for(1));
  std::thread stopping([&] { served.server->stop(20s); });
  EXPECT_TRUE(eventually([&] { return !TestClient(served.server->port()).is_connected(); }));
  // The phase follows the end of the listening socket at once.
  const auto refused = [&] {
    client.get("/");
    const auto answer = client.answer();
    return !answer || answer->status == 503 || answer->has_line("Connection: close");
  };
  EXPECT_TRUE(eventually(refused));
  served.later.lock()->front()({});
  stopping.join();
}

TEST(HttpServerStopTest, can_be_asked_for_twice_and_from_two_threads) {
  Served served;
  std::thread other([&] { served.server->stop(); });
  served.server->stop();
  other.join();
  served.server->stop();
  EXPECT_EQ(served.server->connections(), 0U);
}

TEST(HttpServerStopTest, leaves_threads_that_had_names) {
  Served served;
  TestClient client(served.server->port());
  client.get("/");
  ASSERT_TRUE(client.answer());
  EXPECT_TRUE(eventually([] {
    const auto names = thread_names();
    const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
    return has("http.1") && has("http.accept") && has("http.watch");
  }));
}

}  // namespace
}  // namespace heimdall
