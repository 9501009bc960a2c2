#include "httpd/http_server.h"

#include <gmock/gmock.h>

#include <mutex>

#include "base/guarded.h"
#include "httpd/test_client.h"

namespace heimdall {
namespace {

using testing::TestClient;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

HttpServerOptions any_port() { return {.listen = "127.0.0.1:0"}; }

std::unique_ptr<HttpServer> started(ServerHandler handler, HttpServerOptions options = any_port()) {
  auto server = HttpServer::start(std::move(options), std::move(handler));
  EXPECT_TRUE(server) << server.error().message;
  return server ? std::move(*server) : nullptr;
}

ServerHandler saying(std::string body) {
  return [shared = std::make_shared<const std::string>(std::move(body))](const ServerRequest&, const auto& respond) { respond({.body = shared}); };
}

// Keeps the last request, and answers with its path.
struct Echo {
  Guarded<ServerRequest> last;
  ServerHandler handler() {
    return [this](const ServerRequest& request, const auto& respond) {
      *last.lock() = request;
      respond(ServerResponse::text(200, "text/plain", request.method + " " + request.path));
    };
  }
};

TEST(HttpServerTest, answers_with_the_shared_body_and_safe_headers) {
  const auto server = started(saying(R"({"a":1})"));
  TestClient client(server->port());
  client.get("/");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, R"({"a":1})");
  EXPECT_TRUE(answer->has_line("Content-Type: application/json"));
  EXPECT_TRUE(answer->has_line("Cache-Control: no-store"));
  EXPECT_TRUE(answer->has_line("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(answer->head, Not(HasSubstr("microhttpd")));
}

TEST(HttpServerTest, lets_the_handler_say_its_own_headers) {
  const auto server = started([](const ServerRequest&, const auto& respond) {
    respond({.status = 202, .headers = {{"cache-control", "max-age=60"}, {"Location", "/x"}, {"X-Split", "a\r\nX-Evil: b"}, {"X-Cut", std::string("a\0b", 3)}}});
  });
  TestClient client(server->port());
  client.get("/");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 202);
  EXPECT_THAT(answer->head, AllOf(HasSubstr("max-age=60"), HasSubstr("Location: /x"), Not(HasSubstr("no-store")), Not(HasSubstr("Evil")), Not(HasSubstr("X-Cut"))));
}

TEST(HttpServerTest, decodes_path_query_headers_and_peer) {
  Echo echo;
  const auto server = started(echo.handler());
  TestClient client(server->port());
  client.say("GET /a%20b/%ff?x=1+2&y=%26&x=3&empty HTTP/1.1\r\nHost: here\r\nX-One: 1\r\nx-one:  2 \r\n\r\n");
  ASSERT_TRUE(client.answer());
  auto request = echo.last.lock();
  EXPECT_EQ(request->method, "GET");
  EXPECT_EQ(request->path, "/a b/\xff");
  EXPECT_THAT(request->query, ElementsAre(Pair("empty", ""), Pair("x", "3"), Pair("y", "&")));
  EXPECT_THAT(request->headers, ElementsAre(Pair("host", "here"), Pair("x-one", "1, 2")));
  EXPECT_THAT(request->peer, StartsWith("127.0.0.1:"));
  EXPECT_EQ(request->header("x-one"), "1, 2");
  EXPECT_EQ(request->header("x-two"), "");
  EXPECT_EQ(request->parameter("y"), "&");
  EXPECT_EQ(request->parameter("z"), std::nullopt);
}

TEST(HttpServerTest, reads_bodies_with_a_length_and_in_chunks) {
  Echo echo;
  const auto server = started(echo.handler());
  TestClient client(server->port());
  client.say("POST /a HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhe");
  client.say("llo");
  ASSERT_TRUE(client.answer());
  EXPECT_EQ(echo.last.lock()->body, "hello");
  client.say("PUT /a HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "PUT /a");
  EXPECT_EQ(echo.last.lock()->body, "hello!");
  EXPECT_TRUE(answer->has_line("Connection: close"));
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServerTest, tells_a_client_that_asks_to_go_on) {
  const auto server = started(saying("x"));
  TestClient client(server->port());
  client.say("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
  const auto go_on = client.head();
  ASSERT_TRUE(go_on);
  EXPECT_THAT(*go_on, StartsWith("HTTP/1.1 100 "));
  client.say("x");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
}

TEST(HttpServerTest, answers_requests_that_were_sent_ahead_in_their_order) {
  Echo echo;
  const auto server = started(echo.handler());
  TestClient client(server->port());
  std::string all;
  for (int i = 0; i < 100; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: here\r\n\r\n";
  client.say(all);
  for (int i = 0; i < 100; ++i) {
    const auto answer = client.answer();
    ASSERT_TRUE(answer) << i;
    EXPECT_EQ(answer->body, "GET /" + std::to_string(i));
  }
}

TEST(HttpServerTest, answers_head_like_get_without_the_body) {
  Echo echo;
  const auto server = started(echo.handler());
  TestClient client(server->port());
  client.say("HEAD /a HTTP/1.1\r\nHost: here\r\n\r\n");
  const auto head = client.head();
  ASSERT_TRUE(head);
  EXPECT_THAT(*head, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Length: 6")));
  client.get("/b");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "GET /b");
}

TEST(HttpServerTest, closes_after_http_1_0_unless_asked_not_to) {
  const auto server = started(saying("x"));
  TestClient client(server->port());
  client.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(client.answer());
  client.say("GET / HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(client.answer());
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServerTest, hands_on_methods_that_it_does_not_know) {
  Echo echo;
  const auto server = started(echo.handler());
  TestClient client(server->port());
  client.say("BREW /pot HTTP/1.1\r\nHost: here\r\n\r\n");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "BREW /pot");
}

TEST(HttpServerTest, takes_the_absolute_form_for_the_same_host) {
  Echo echo;
  const auto server = started(echo.handler());
  TestClient client(server->port());
  client.say("GET http://here/a HTTP/1.1\r\nHost: here\r\n\r\n");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "GET /a");
}

TEST(HttpServerTest, serves_a_query_with_thousands_of_parameters) {
  Echo echo;
  const auto server = started(echo.handler());
  TestClient client(server->port());
  std::string target = "/a?";
  for (int i = 0; i < 8000; ++i) target += "&x";
  client.get(target);
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(echo.last.lock()->query.size(), 1U);
}

TEST(HttpServerTest, sends_large_bodies_whole) {
  std::string body(8'000'000, 'x');
  for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + (i / 1000) % 26);
  const auto server = started(saying(body));
  TestClient client(server->port());
  client.get("/");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->body == body);
}

TEST(HttpServerTest, turns_a_status_that_is_none_into_500) {
  const auto server = started([](const ServerRequest&, const auto& respond) { respond({.status = 17}); });
  TestClient client(server->port());
  client.get("/");
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 500);
}

TEST(HttpServerTest, sends_no_body_with_204) {
  const auto server = started([](const ServerRequest&, const auto& respond) { respond({.status = 204}); });
  TestClient client(server->port());
  client.get("/");
  client.get("/");
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 204);
  }
}

TEST(HttpServerTest, says_where_it_listens_and_how_many_are_connected) {
  const auto server = started(saying("x"));
  EXPECT_EQ(server->address(), "127.0.0.1:" + std::to_string(server->port()));
  EXPECT_TRUE(server->is_loopback());
  EXPECT_EQ(server->connections(), 0U);
  TestClient one(server->port());
  TestClient two(server->port());
  EXPECT_TRUE(testing::eventually([&] { return server->connections() == 2; }));
  one.hang_up();
  EXPECT_TRUE(testing::eventually([&] { return server->connections() == 1; }));
}

TEST(HttpServerTest, refuses_to_start_where_it_cannot_listen) {
  const auto first = started(saying("x"));
  const auto taken = HttpServer::start({.listen = first->address()}, saying("y"));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::failed_precondition);
  const auto unreadable = HttpServer::start({.listen = "8001"}, saying("y"));
  ASSERT_FALSE(unreadable);
  EXPECT_EQ(unreadable.error().code, ErrorCode::invalid_argument);
}

TEST(HttpServerTest, can_start_again_at_once_where_it_was) {
  HttpServerOptions options = any_port();
  for (int i = 0; i < 5; ++i) {
    const auto server = started(saying("x"), options);
    ASSERT_TRUE(server);
    options.listen = server->address();
    TestClient client(server->port());
    client.get("/");
    ASSERT_TRUE(client.answer());
    // The server closes first, so its end of the connection stays in TIME_WAIT.
    server->stop();
    EXPECT_TRUE(client.is_closed());
  }
}

TEST(HttpServerTest, works_with_one_thread_and_with_many) {
  for (const unsigned threads : {0U, 1U, 5U}) {
    HttpServerOptions options = any_port();
    options.threads = threads;
    const auto server = started(saying("x"), options);
    TestClient client(server->port());
    client.get("/");
    EXPECT_TRUE(client.answer()) << threads;
  }
}

}  // namespace
}  // namespace heimdall
