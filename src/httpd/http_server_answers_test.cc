#include <gmock/gmock.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "base/guarded.h"
#include "httpd/http_server.h"
#include "httpd/test_client.h"

namespace heimdall {
namespace {

using testing::eventually;
using testing::TestClient;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Respond = std::function<void(ServerResponse)>;
using namespace std::chrono_literals;

std::unique_ptr<HttpServer> started(ServerHandler handler, HttpServerOptions options = {}) {
  options.listen = "127.0.0.1:0";
  auto server = HttpServer::start(std::move(options), std::move(handler));
  EXPECT_TRUE(server) << server.error().message;
  return server ? std::move(*server) : nullptr;
}

// Keeps what it should answer.
struct Later {
  Guarded<std::deque<Respond>> waiting;
  ServerHandler handler() {
    return [this](const ServerRequest&, Respond respond) { waiting.lock()->push_back(std::move(respond)); };
  }
  std::size_t count() { return waiting.lock()->size(); }
  Respond next() {
    EXPECT_TRUE(eventually([&] { return count() > 0; }));
    auto all = waiting.lock();
    Respond respond = std::move(all->front());
    all->pop_front();
    return respond;
  }
};

TEST(DeferredAnswerTest, comes_from_any_thread) {
  Later later;
  const auto server = started(later.handler());
  TestClient client(server->port());
  client.get("/");
  std::thread([respond = later.next()] { respond(ServerResponse::text(201, "text/plain", "late")); }).join();
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, "late");
}

TEST(DeferredAnswerTest, lets_others_be_served_meanwhile) {
  Later later;
  const auto server = started([&](const ServerRequest& request, Respond respond) {
    if (request.path == "/quick") return respond(ServerResponse::text(200, "text/plain", "quick"));
    later.waiting.lock()->push_back(std::move(respond));
  });
  std::vector<std::unique_ptr<TestClient>> waiting;
  for (int i = 0; i < 100; ++i) {
    waiting.push_back(std::make_unique<TestClient>(server->port()));
    waiting.back()->get("/slow");
  }
  ASSERT_TRUE(eventually([&] { return later.count() == 100; }));
  TestClient quick(server->port());
  quick.get("/quick");
  ASSERT_TRUE(quick.answer());
  for (int i = 0; i < 100; ++i) later.next()(ServerResponse::text(200, "text/plain", "slow"));
  for (auto& client : waiting) ASSERT_TRUE(client->answer());
}

TEST(DeferredAnswerTest, races_with_the_end_of_the_handler) {
  // The other thread often answers before the request has been put to sleep, and sometimes after.
  Later later;
  const auto server = started(later.handler());
  std::jthread answering([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::deque<Respond> ready;
      later.waiting.lock()->swap(ready);
      for (const Respond& respond : ready) respond(ServerResponse::text(200, "text/plain", "x"));
    }
  });
  TestClient client(server->port());
  for (int i = 0; i < 3000; ++i) {
    client.get("/");
    ASSERT_TRUE(client.answer()) << i;
  }
}

TEST(DeferredAnswerTest, is_500_if_the_handler_lets_go_or_throws) {
  const auto server = started([](const ServerRequest& request, const Respond&) {
    if (request.path == "/throw") throw std::runtime_error("secret");
  });
  TestClient client(server->port());
  for (const char* path : {"/drop", "/throw"}) {
    client.get(path);
    const auto answer = client.answer();
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status, 500);
    EXPECT_THAT(answer->body, HasSubstr(R"("status":500)"));
    EXPECT_THAT(answer->body, HasSubstr(R"("hint":")"));
    EXPECT_THAT(answer->body, ::testing::Not(HasSubstr("secret")));
  }
}

TEST(DeferredAnswerTest, counts_once) {
  const auto server = started([](const ServerRequest&, const Respond& respond) {
    respond(ServerResponse::text(200, "text/plain", "first"));
    respond(ServerResponse::text(200, "text/plain", "second"));
  });
  TestClient client(server->port());
  client.get("/");
  ASSERT_EQ(client.answer()->body, "first");
  client.get("/");
  EXPECT_EQ(client.answer()->body, "first");
}

TEST(DeferredAnswerTest, is_dropped_after_the_client_has_left) {
  Later later;
  HttpServerOptions options;
  options.heartbeat = 20ms;
  const auto server = started(later.handler(), options);
  for (int i = 0; i < 50; ++i) {
    TestClient client(server->port());
    client.get("/");
    const Respond respond = later.next();
    client.hang_up();
    if (i % 2 == 0) {
      EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
    }
    respond(ServerResponse::text(200, "text/plain", "x"));
  }
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
}

TEST(DeferredAnswerTest, is_dropped_after_the_server_has_gone) {
  Later later;
  auto server = started(later.handler());
  TestClient client(server->port());
  client.get("/");
  const Respond respond = later.next();
  server->stop(0ms);
  respond(ServerResponse::text(200, "text/plain", "x"));
  server.reset();
  respond(ServerResponse::text(200, "text/plain", "x"));
  EXPECT_TRUE(client.is_closed());
}

// Sends what is put in, in its order.
class Lines : public ServerStream {
 public:
  explicit Lines(std::string beat = "") : beat_(std::move(beat)) {}
  std::optional<std::string> take() override {
    auto state = state_.lock();
    ++takes;
    std::string text = std::exchange(state->text, "");
    if (text.empty() && state->ended) return std::nullopt;
    return text;
  }
  std::string heartbeat() override { return beat_; }
  void on_wake(std::function<void()> wake) override { state_.lock()->wake = std::move(wake); }

  void put(std::string_view text) {
    state_.lock()->text += text;
    wake();
  }
  void end() {
    state_.lock()->ended = true;
    wake();
  }
  void wake() {
    if (const auto call = waker()) call();
  }
  std::function<void()> waker() { return state_.lock()->wake; }
  std::atomic<int> takes = 0;

 private:
  struct State {
    std::string text;
    bool ended = false;
    std::function<void()> wake;
  };
  Guarded<State> state_;
  std::string beat_;
};

ServerHandler streaming(std::shared_ptr<ServerStream> stream) {
  return [stream](const ServerRequest&, const Respond& respond) { respond({.content_type = "text/event-stream", .stream = stream}); };
}

TEST(StreamTest, is_sent_as_it_comes) {
  const auto lines = std::make_shared<Lines>();
  const auto server = started(streaming(lines));
  TestClient client(server->port());
  client.get("/");
  const auto head = client.head();
  ASSERT_TRUE(head);
  EXPECT_THAT(*head, HasSubstr("Transfer-Encoding: chunked"));
  for (const char* text : {"one", "two", "three"}) {
    lines->put(text);
    ASSERT_EQ(client.chunk(), text);
  }
  lines->end();
  EXPECT_EQ(client.chunk(), "");
}

TEST(StreamTest, leaves_the_connection_for_the_next_request) {
  const auto server = started([](const ServerRequest& request, const Respond& respond) {
    if (request.path == "/text") return respond(ServerResponse::text(200, "text/plain", "x"));
    auto lines = std::make_shared<Lines>();
    lines->put("a");
    lines->end();
    respond({.stream = lines});
  });
  TestClient client(server->port());
  for (int i = 0; i < 20; ++i) {
    client.get("/stream");
    ASSERT_EQ(client.answer()->body, "a");
    client.get("/text");
    ASSERT_EQ(client.answer()->body, "x");
  }
}

TEST(StreamTest, has_no_chunks_in_http_1_0) {
  const auto lines = std::make_shared<Lines>();
  const auto server = started(streaming(lines));
  TestClient client(server->port());
  client.say("GET / HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(client.head());
  lines->put("plain");
  ASSERT_TRUE(eventually([&] { return client.hears(1ms) && client.said() == "plain"; }));
  lines->end();
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(client.said(), "plain");
}

TEST(StreamTest, is_never_asked_for_a_head_request) {
  const auto lines = std::make_shared<Lines>();
  const auto server = started(streaming(lines));
  TestClient client(server->port());
  client.say("HEAD / HTTP/1.1\r\nHost: here\r\n\r\n");
  ASSERT_TRUE(client.head());
  client.say("HEAD / HTTP/1.1\r\nHost: here\r\n\r\n");
  ASSERT_TRUE(client.head());
  EXPECT_EQ(lines->takes, 0);
}

TEST(StreamTest, sends_large_texts_to_a_slow_reader_whole) {
  const auto lines = std::make_shared<Lines>();
  const auto server = started(streaming(lines));
  TestClient client(server->port());
  client.get("/");
  std::string all;
  for (int i = 0; i < 300'000; ++i) all += std::to_string(i) + "\n";
  lines->put(all);
  lines->end();
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->body == all);
}

TEST(StreamTest, loses_no_wake_up_of_many_threads) {
  constexpr int kThreads = 4;
  constexpr int kLines = 2000;
  constexpr int kClients = 5;
  const auto streams = std::make_shared<std::vector<std::shared_ptr<Lines>>>();
  for (int i = 0; i < kClients; ++i) streams->push_back(std::make_shared<Lines>());
  const auto server = started([streams](const ServerRequest& request, const Respond& respond) {
    respond({.stream = streams->at(static_cast<std::size_t>(std::atoi(request.path.c_str() + 1)))});
  });
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<TestClient>(server->port()));
    clients.back()->get("/" + std::to_string(i));
  }
  std::vector<std::jthread> writers;
  std::atomic<int> left = kThreads;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < kLines; ++i) {
        for (const auto& lines : *streams) lines->put("x");
      }
      if (--left == 0) {
        for (const auto& lines : *streams) lines->end();
      }
    });
  }
  for (auto& client : clients) {
    const auto answer = client->answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body.size(), static_cast<std::size_t>(kThreads) * kLines);
  }
}

TEST(StreamTest, does_not_need_a_wake_up_for_what_was_put_in_before) {
  const auto lines = std::make_shared<Lines>();
  lines->put("before");
  const auto server = started(streaming(lines));
  TestClient client(server->port());
  client.get("/");
  ASSERT_TRUE(client.head());
  EXPECT_EQ(client.chunk(), "before");
}

TEST(StreamTest, sends_heartbeats_while_nothing_is_said) {
  HttpServerOptions options;
  options.heartbeat = 30ms;
  const auto lines = std::make_shared<Lines>(": still here\n\n");
  const auto server = started(streaming(lines), options);
  TestClient client(server->port());
  client.get("/");
  ASSERT_TRUE(client.head());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.chunk(), ": still here\n\n");
  lines->put("news");
  while (true) {
    const auto chunk = client.chunk();
    ASSERT_TRUE(chunk);
    if (*chunk == "news") break;
    EXPECT_EQ(*chunk, ": still here\n\n");
  }
}

TEST(StreamTest, ends_when_its_client_has_left) {
  HttpServerOptions options;
  options.heartbeat = 20ms;
  const auto stream = std::make_shared<Guarded<std::weak_ptr<Lines>>>();
  const auto server = started(
      [stream](const ServerRequest&, const Respond& respond) {
        auto lines = std::make_shared<Lines>();
        *stream->lock() = lines;
        respond({.stream = std::move(lines)});
      },
      options);
  TestClient client(server->port());
  client.get("/");
  ASSERT_TRUE(client.head());
  const auto wake = stream->lock()->lock()->waker();
  client.hang_up();
  EXPECT_TRUE(eventually([&] { return stream->lock()->expired(); }));
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
  wake();
}

TEST(StreamTest, can_be_woken_after_all_is_over) {
  const auto lines = std::make_shared<Lines>();
  auto server = started(streaming(lines));
  TestClient client(server->port());
  client.get("/");
  ASSERT_TRUE(client.head());
  const auto wake = lines->waker();
  server->stop();
  lines->put("too late");
  server.reset();
  wake();
  lines->end();
  EXPECT_EQ(client.chunk(), "") << "the stream ends as a whole one does";
}

TEST(StreamTest, may_be_woken_while_it_is_torn_down) {
  HttpServerOptions options;
  options.heartbeat = 5ms;
  for (int round = 0; round < 30; ++round) {
    const auto lines = std::make_shared<Lines>("beat");
    const auto server = started(streaming(lines), options);
    TestClient client(server->port());
    client.get("/");
    ASSERT_TRUE(client.head());
    std::jthread waking([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) lines->put("x");
    });
    ASSERT_TRUE(client.chunk());
    if (round % 2 == 0) client.hang_up();
    server->stop(0ms);
  }
}

}  // namespace
}  // namespace heimdall
