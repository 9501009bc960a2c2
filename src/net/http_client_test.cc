#include "net/http_client.h"

#include <gtest/gtest.h>

#include <stdlib.h>

#include <condition_variable>
#include <set>

#include "net/test_server.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::TestConnection;
using testing::TestRequest;
using testing::TestServer;

// Answers each request with 200 and the number of the connection.
void answer_with_index(TestConnection& connection) {
  while (connection.next()) connection.answer(200, std::to_string(connection.index()));
}

// Reads one request, says `bytes` and closes.
TestServer::Script once(std::string bytes) {
  return [bytes](TestConnection& connection) {
    if (connection.next()) connection.write(bytes);
  };
}

struct HttpClientTest : ::testing::Test {
  HttpClientTest() { setenv("no_proxy", "*", 1); }

  static std::unique_ptr<HttpClient> client(HttpClientOptions options = {}) {
    return std::move(*HttpClient::create(std::move(options)));
  }
  static Result<HttpResponse> get(const std::string& url) { return client()->perform({.url = url}); }
  // The error of one GET to a server that says `bytes`.
  static Error error_after(std::string bytes) {
    TestServer server(once(std::move(bytes)));
    auto answer = get(server.url("/bucket/key?X-Amz-Signature=secret"));
    if (answer) return Error{.code = ErrorCode::internal, .message = "a value: " + std::to_string(answer->status) + answer->body};
    EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
    EXPECT_NE(answer.error().message.find("GET 127.0.0.1:" + std::to_string(server.port()) + "/bucket/key: "), std::string::npos);
    return answer.error();
  }
};

TEST_F(HttpClientTest, brings_status_headers_and_body) {
  TestServer server(once("HTTP/1.1 404 Not Found\r\nETag: \"x\"\r\nX-Empty:\r\nContent-Length: 5\r\n\r\nhello"));
  auto answer = get(server.url());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(answer->header("etag"), "\"x\"");
  EXPECT_EQ(answer->header("x-empty"), "");
  EXPECT_EQ(answer->header("other"), "");
  EXPECT_EQ(answer->body, "hello");
}

TEST_F(HttpClientTest, takes_chunks_trailers_and_interim_answers) {
  TestServer server(once("HTTP/1.1 100 Continue\r\nETag: interim\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: final\r\n\r\n"
                         "2\r\nab\r\n3\r\ncde\r\n0\r\nETag: trailer\r\n\r\n"));
  auto answer = get(server.url());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->header("ETag"), "final");
  EXPECT_EQ(answer->headers.size(), 2u);
  EXPECT_EQ(answer->body, "abcde");
}

TEST_F(HttpClientTest, does_not_follow_redirects) {
  TestServer server(once("HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"));
  auto answer = get(server.url());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 307);
}

TEST_F(HttpClientTest, keeps_connections) {
  TestServer server(answer_with_index);
  auto http = client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http->perform({.url = server.url()})->body, "0");
}

// Invariant 12: on a kept connection libcurl may send a request a second time.
TEST_F(HttpClientTest, a_fresh_connection_is_new_and_kept_for_later_reads) {
  TestServer server(answer_with_index);
  auto http = client();
  EXPECT_EQ(http->perform({.url = server.url()})->body, "0");
  EXPECT_EQ(http->perform({.url = server.url(), .connection = Connection::fresh})->body, "1");
  EXPECT_EQ(http->perform({.url = server.url(), .connection = Connection::fresh})->body, "2");
  EXPECT_NE(http->perform({.url = server.url()})->body, "3");
}

// Invariant 12.
TEST_F(HttpClientTest, a_request_on_a_fresh_connection_is_never_sent_twice) {
  std::atomic<int> seen = 0;
  TestServer server([&](TestConnection& connection) {
    if (connection.next()) ++seen;
    connection.reset();
  });
  auto answer = client()->perform({.method = HttpMethod::post, .url = server.url(), .body = "x", .connection = Connection::fresh});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::in_doubt) << answer.error().message;
  server.stop();
  EXPECT_EQ(seen, 1);
}

// A kept connection breaks after a request left on it; libcurl sends it again, but the second connection is refused as well.
TEST_F(HttpClientTest, what_left_on_a_kept_connection_is_in_doubt_however_it_ends) {
  TestServer server([](TestConnection& connection) {
    if (connection.index() == 0 && connection.next()) connection.answer(200, "");
    if (connection.next()) connection.reset();
  });
  auto http = client();
  ASSERT_TRUE(http->perform({.url = server.url()}));
  int asked = 0;
  auto answer = http->perform({.method = HttpMethod::del, .url = server.url(), .may_send = [&] { return ++asked == 1; }});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::in_doubt) << answer.error().message;
  EXPECT_EQ(asked, 2);
}

// Invariant 12: the time limit is tested just before the send.
TEST_F(HttpClientTest, sends_nothing_if_it_may_not) {
  TestServer server([](TestConnection& connection) { connection.drain(); });
  for (const Connection connection : {Connection::any, Connection::fresh}) {
    auto answer = client()->perform({.method = HttpMethod::post,
                                     .url = server.url(),
                                     .body = "delete all",
                                     .connection = connection,
                                     .may_send = [] { return false; }});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::cancelled) << answer.error().message;
  }
  server.stop();
  EXPECT_EQ(server.connections(), 2);
  EXPECT_EQ(server.received(), 0u);
}

TEST_F(HttpClientTest, asks_once_the_connection_stands) {
  TestServer server(answer_with_index);
  int asked = 0;
  auto answer = client()->perform({.url = server.url(), .may_send = [&] { return ++asked > 0; }});
  EXPECT_TRUE(answer);
  EXPECT_EQ(asked, 1);
  EXPECT_FALSE(client()->perform({.url = "http://127.0.0.1:1/", .may_send = [&] { return ++asked > 0; }}));
  EXPECT_EQ(asked, 1);
}

// Invariant 2: a cut is never read as the end.
TEST_F(HttpClientTest, half_an_answer_is_in_doubt) {
  for (const std::string half : {
           "",
           "HTTP/1.1 200 OK\r\nContent-Le",
           "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
           "HTTP/1.1 100 Continue\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
           "HTTP/1.1 200 OK\r\n\r\nof unknown length",
           "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n",
       }) {
    const Error error = error_after(half);
    EXPECT_EQ(error.code, ErrorCode::in_doubt) << half << "\n" << error.message;
  }
}

TEST_F(HttpClientTest, what_is_no_http_is_corrupt) {
  for (const std::string garbage : {"SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x01 what?", "HTTP/1.1 abc\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n"}) {
    const Error error = error_after(garbage);
    EXPECT_EQ(error.code, ErrorCode::corrupt) << garbage << "\n" << error.message;
  }
}

TEST_F(HttpClientTest, a_reset_before_the_answer_is_in_doubt) {
  TestServer server([](TestConnection& connection) {
    if (connection.next()) connection.reset();
  });
  auto answer = get(server.url());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::in_doubt) << answer.error().message;
}

// The server has not got the whole request, so it cannot act on it.
TEST_F(HttpClientTest, a_reset_in_the_middle_of_a_large_request_is_unavailable) {
  TestServer server([](TestConnection& connection) {
    if (connection.receive()) connection.reset();
  });
  auto answer = client()->perform({.method = HttpMethod::put,
                                   .url = server.url(),
                                   .body = std::string(std::size_t{64} << 20, 'x'),
                                   .connection = Connection::fresh});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable) << answer.error().message;
}

TEST_F(HttpClientTest, what_cannot_be_reached_is_unavailable) {
  std::string closed_port;
  {
    TestServer gone(answer_with_index);
    closed_port = gone.url();
  }
  for (const std::string& url : {closed_port, std::string("http://nowhere.invalid/")}) {
    auto answer = get(url);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::unavailable) << answer.error().message;
    EXPECT_NE(answer.error().hint, "");
  }
}

TEST_F(HttpClientTest, no_tls_on_the_other_side_is_unavailable) {
  TestServer server([](TestConnection& connection) {
    if (connection.receive()) connection.write("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  auto answer = get("https" + server.url().substr(4));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable) << answer.error().message;
}

TEST_F(HttpClientTest, a_time_out_is_in_doubt_once_the_request_left) {
  TestServer server([](TestConnection& connection) { connection.drain(); });
  auto answer = client()->perform({.url = server.url(), .timeout = 30ms});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::in_doubt) << answer.error().message;
  auto unsent = client()->perform({.url = "https" + server.url().substr(4), .timeout = 30ms});  // no end of the TLS handshake
  ASSERT_FALSE(unsent);
  EXPECT_EQ(unsent.error().code, ErrorCode::unavailable) << unsent.error().message;
}

TEST_F(HttpClientTest, the_connection_has_a_time_out_of_its_own) {
  TestServer server([](TestConnection& connection) { connection.drain(); });
  auto answer = client({.connect_timeout = 30ms})->perform({.url = "https" + server.url().substr(4)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable) << answer.error().message;
}

TEST_F(HttpClientTest, a_body_may_be_as_large_as_allowed_and_no_larger) {
  TestServer server([](TestConnection& connection) {
    while (connection.next()) connection.answer(200, "12345678");
  });
  auto http = client();
  EXPECT_EQ(http->perform({.url = server.url(), .max_body_bytes = 8})->body, "12345678");
  auto answer = http->perform({.url = server.url(), .max_body_bytes = 7});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::corrupt) << answer.error().message;
}

TEST_F(HttpClientTest, headers_without_end_are_an_error) {
  TestServer server([](TestConnection& connection) {
    if (!connection.next()) return;
    connection.write("HTTP/1.1 200 OK\r\n");
    const std::string line = "X-Much: " + std::string(10000, 'x') + "\r\n";
    for (int i = 0; i < 200; ++i) connection.write(line);
  });
  auto answer = get(server.url());
  ASSERT_FALSE(answer);
  EXPECT_TRUE(answer.error().code == ErrorCode::corrupt || answer.error().code == ErrorCode::in_doubt) << answer.error().message;
}

TEST_F(HttpClientTest, url_is_sent_as_it_is) {
  std::string target;
  TestServer server([&](TestConnection& connection) {
    if (const auto request = connection.next()) {
      target = request->target;
      connection.answer(200, "");
    }
  });
  const std::string path = "/b/../a/./%2F//%2e%2e/x?list-type=2&prefix=%2F..%2F";
  ASSERT_TRUE(get(server.url(path)));
  server.stop();
  EXPECT_EQ(target, path);
}

TEST_F(HttpClientTest, a_url_or_header_that_cannot_be_sent_is_an_invalid_argument) {
  for (const std::string url : {"", "ftp://127.0.0.1/", "file:///etc/passwd", "http://127.0.0.1:x/", "http://a b/", "http://a/\r\nX: y"}) {
    auto answer = get(url);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::invalid_argument) << url << ": " << answer.error().message;
  }
  auto answer = client()->perform({.url = "http://127.0.0.1:1/", .headers = {{"X-A", "1\r\nX-B: 2"}}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::invalid_argument);
}

TEST_F(HttpClientTest, error_shows_neither_query_nor_password) {
  auto answer = get("http://user:word@127.0.0.1:1/bucket/a%20b?X-Amz-Signature=secret");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message.substr(0, 30), "GET 127.0.0.1:1/bucket/a%20b: ") << answer.error().message;
  EXPECT_EQ(answer.error().message.find("word"), std::string::npos);
  EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
}

TEST_F(HttpClientTest, methods_headers_and_bodies_are_sent_and_nothing_else) {
  std::vector<TestRequest> seen;
  TestServer server([&](TestConnection& connection) {
    while (auto request = connection.next()) {
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      seen.push_back(std::move(*request));
    }
  });
  auto http = client();
  const std::string large(std::size_t{3} << 20, 'x');
  const HttpRequest requests[] = {
      {.url = server.url("/a")},
      {.method = HttpMethod::head, .url = server.url("/a")},
      {.method = HttpMethod::put, .url = server.url("/a"), .headers = {{"Content-Type", "text/plain"}, {"X-Empty", ""}}},
      {.method = HttpMethod::post, .url = server.url("/a"), .body = large},
      {.method = HttpMethod::del, .url = server.url("/a")},
  };
  for (const HttpRequest& request : requests) ASSERT_TRUE(http->perform(request));
  http.reset();
  server.stop();
  ASSERT_EQ(seen.size(), 5u);
  const std::string common = "Host: 127.0.0.1:" + std::to_string(server.port()) + "\r\nUser-Agent: heimdall-storage\r\nAccept: */*\r\n";
  EXPECT_EQ(seen[0].head, "GET /a HTTP/1.1\r\n" + common);
  EXPECT_EQ(seen[1].head, "HEAD /a HTTP/1.1\r\n" + common);
  EXPECT_EQ(seen[2].head, "PUT /a HTTP/1.1\r\n" + common + "Content-Type: text/plain\r\nX-Empty:\r\nContent-Length: 0\r\n");
  EXPECT_EQ(seen[3].head, "POST /a HTTP/1.1\r\n" + common + "Content-Length: 3145728\r\n");
  EXPECT_EQ(seen[3].body, large);
  EXPECT_EQ(seen[4].head, "DELETE /a HTTP/1.1\r\n" + common);
}

TEST_F(HttpClientTest, a_head_answer_has_a_length_but_no_body) {
  TestServer server([](TestConnection& connection) {
    while (connection.next()) connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  });
  auto http = client();
  for (int i = 0; i < 2; ++i) {
    auto answer = http->perform({.method = HttpMethod::head, .url = server.url()});
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->header("content-length"), "1000");
  }
  EXPECT_EQ(server.connections(), 1);
}

// Each script answers only when as many requests as allowed are there: none is held back, and none too many is let go.
TEST_F(HttpClientTest, many_requests_share_a_few_connections) {
  constexpr int kLimit = 4;
  std::mutex mutex;
  std::condition_variable full;
  int arrived = 0, at_once = 0, most = 0;
  TestServer server([&](TestConnection& connection) {
    while (const auto request = connection.next()) {
      {
        std::unique_lock lock(mutex);
        most = std::max(most, ++at_once);
        const int round = arrived++ / kLimit;
        full.notify_all();
        full.wait(lock, [&] { return arrived >= (round + 1) * kLimit; });
        --at_once;
      }
      connection.answer(200, request->target);
    }
  });
  auto http = client({.max_connections = kLimit});
  std::vector<std::future<Result<HttpResponse>>> answers;
  for (int i = 0; i < 64; ++i) answers.push_back(http->send({.url = server.url("/" + std::to_string(i))}));
  for (int i = 0; i < 64; ++i) {
    auto answer = answers[static_cast<std::size_t>(i)].get();
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, "/" + std::to_string(i));
  }
  EXPECT_EQ(most, kLimit);
  EXPECT_EQ(server.connections(), kLimit);
}

TEST_F(HttpClientTest, may_be_used_from_many_threads) {
  TestServer server([](TestConnection& connection) {
    while (const auto request = connection.next()) connection.answer(200, request->target);
  });
  auto http = client();
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string path = "/" + std::to_string(t) + "/" + std::to_string(i);
        const auto answer = http->perform({.url = server.url(path), .connection = i % 5 == 0 ? Connection::fresh : Connection::any});
        if (answer && answer->body == path) ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 160);
}

TEST_F(HttpClientTest, its_end_ends_what_is_under_way) {
  std::promise<void> arrived;
  TestServer server([&](TestConnection& connection) {
    if (connection.next()) arrived.set_value();
    connection.drain();
  });
  auto http = client({.max_connections = 1});
  auto running = http->send({.url = server.url()});
  auto waiting = http->send({.url = server.url()});
  arrived.get_future().wait();
  http.reset();
  EXPECT_EQ(running.get().error().code, ErrorCode::in_doubt);
  EXPECT_EQ(waiting.get().error().code, ErrorCode::unavailable);
}

TEST_F(HttpClientTest, a_missing_file_of_authorities_is_told_at_once) {
  auto http = HttpClient::create({.ca_file = "/nowhere/ca.pem"});
  ASSERT_FALSE(http);
  EXPECT_EQ(http.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(http.error().message.find("/nowhere/ca.pem"), std::string::npos) << http.error().message;
}

}  // namespace
}  // namespace heimdall
