#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "httpd/http_server.h"
#include "httpd/test_client.h"

namespace heimdall {
namespace {

using testing::eventually;
using testing::TestClient;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Respond = std::function<void(ServerResponse)>;
using namespace std::chrono_literals;

struct Served {
  std::atomic<int> requests = 0;
  std::unique_ptr<HttpServer> server;

  explicit Served(HttpServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto made = HttpServer::start(std::move(options), [this](const ServerRequest& request, const Respond& respond) {
      ++requests;
      respond(ServerResponse::text(200, "text/plain", std::to_string(request.body.size())));
    });
    EXPECT_TRUE(made) << made.error().message;
    if (made) server = std::move(*made);
  }
  std::uint16_t port() const { return server->port(); }
  bool serves() const {
    TestClient client(port());
    client.get("/");
    const auto answer = client.answer();
    return answer && answer->status == 200;
  }
};

// "|" stands for NUL.
std::string nul(std::string text) {
  std::replace(text.begin(), text.end(), '|', '\0');
  return text;
}

std::chrono::microseconds processor_time() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + std::chrono::microseconds(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

// Lets the test have so many open files, if this machine does.
bool allow_files(rlim_t count) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur >= count) return true;
  files.rlim_cur = std::min(count, files.rlim_max);
  return setrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur == count;
}

TEST(HostileRequestTest, is_refused_and_its_connection_closed) {
  Served served;
  const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: here\r\n\r\n";
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"length and encoding", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"encoding and length", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"},
      {"two equal lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
      {"two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"},
      {"a list of lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\nx"},
      {"a signed length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx"},
      {"a negative length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\nx"},
      {"a hexadecimal length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\nx"},
      {"an empty length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n"},
      {"another encoding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {"an unknown encoding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
      {"two encodings", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
      {"an encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"an encoding behind a blank", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
      {"an encoding in a folded line", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
      {"no host", "GET / HTTP/1.1\r\n\r\n"},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
      {"an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {"a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"another host in the target", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"},
      {"a folded header", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n"},
      {"a header folded by a tab", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\nD: e\r\n\r\n"},
      {"a first header that begins with a blank", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"},
      {"bare LFs", "GET / HTTP/1.1\nHost: h\n\n"},
      {"a bare LF in the first line", "GET / HTTP/1.1\nHost: h\r\n\r\n"},
      {"a bare LF in a header", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n"},
      {"a bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n"},
      {"a bare CR", "GET / HTTP/1.1\r\nHost: h\r\nA: b\rC: d\r\n\r\n"},
      {"a NUL in the path", nul("GET /a|b HTTP/1.1\r\nHost: h\r\n\r\n")},
      {"a NUL in a header", nul("GET / HTTP/1.1\r\nHost: h\r\nA: b|c\r\n\r\n")},
      {"a NUL in a name", nul("GET / HTTP/1.1\r\nHost: h\r\nA|B: c\r\n\r\n")},
      {"a hidden header", nul("GET / HTTP/1.1\r\nHost: h\r\nA: b||C|d\r\n\r\n")},
      {"an escaped NUL", "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"an escaped NUL in the query", "GET /?a=%00 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"half an escape", "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a blank in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"two blanks", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"two blanks before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a target without a slash", "GET a HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"an asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"another scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a tunnel", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"},
      {"a method that is none", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a line without a colon", "GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n"},
      {"a header without a name", "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n"},
      {"a version that is none", "GET / HTTP/1.x\r\nHost: h\r\n\r\n"},
      {"no version", "GET /\r\nHost: h\r\n\r\n"},
      {"a lower-case version", "GET / http/1.1\r\nHost: h\r\n\r\n"},
      {"a chunk size that is none", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n"},
      {"a chunk that is longer than it says", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"},
  };
  for (const auto& [name, text] : cases) {
    TestClient client(served.port());
    client.say(text + hidden);
    const auto answer = client.answer();
    ASSERT_TRUE(answer) << name;
    EXPECT_EQ(answer->status, 400) << name;
    EXPECT_TRUE(client.is_closed()) << name;
    // To a wrong length libmicrohttpd says its 400 itself, with its head twice.
    EXPECT_THAT(client.said(), Not(HasSubstr(" 200 "))) << name;
  }
  EXPECT_EQ(served.requests, 0);
  EXPECT_TRUE(served.serves());
}

TEST(HostileRequestTest, of_another_version_is_refused) {
  Served served;
  for (const char* version : {"HTTP/0.9", "HTTP/2.0", "HTTP/3.0"}) {
    TestClient client(served.port());
    client.say("GET / " + std::string(version) + "\r\nHost: h\r\n\r\n");
    const auto answer = client.answer();
    ASSERT_TRUE(answer) << version;
    EXPECT_EQ(answer->status, 505) << version;
    EXPECT_TRUE(client.is_closed()) << version;
  }
}

TEST(HostileRequestTest, hides_nothing_behind_a_chunked_body) {
  Served served;
  TestClient client(served.port());
  client.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;\nx\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: h\r\n\r\n");
  client.answer();
  EXPECT_TRUE(client.is_closed());
  EXPECT_LE(served.requests, 1);
}

TEST(HostileRequestTest, with_a_body_too_large_is_refused_before_it_comes) {
  HttpServerOptions options;
  options.max_body_bytes = 100'000;
  Served served(options);
  TestClient exact(served.port());
  exact.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
  ASSERT_EQ(exact.answer()->body, "100000");
  TestClient larger(served.port());
  larger.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
  const auto refused = larger.answer();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 413);
  EXPECT_TRUE(larger.is_closed());
  TestClient huge(served.port());
  huge.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n");
  const auto also = huge.answer();
  ASSERT_TRUE(also);
  EXPECT_THAT(also->status, AnyOf(400, 413));
  EXPECT_EQ(served.requests, 1);
}

TEST(HostileRequestTest, with_chunks_without_end_is_cut_off) {
  HttpServerOptions options;
  options.max_body_bytes = 100'000;
  Served served(options);
  TestClient client(served.port());
  client.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "3e8\r\n" + std::string(1000, 'x') + "\r\n";
  int sent = 0;
  while (sent < 100'000 && client.say(chunk)) ++sent;
  EXPECT_LT(sent, 100'000) << "the server reads on for ever";
  client.is_closed();
  EXPECT_THAT(client.said(), AnyOf("", StartsWith("HTTP/1.1 413 "))) << "what was said can be lost with a connection that is cut";
  EXPECT_EQ(served.requests, 0);

  TestClient polite(served.port());
  polite.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n186a1\r\n");
  polite.say(std::string(100'001, 'x'));
  const auto answer = polite.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
  TestClient told_before(served.port());
  told_before.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
  const auto other = told_before.answer();
  ASSERT_TRUE(other);
  EXPECT_EQ(answer->body, other->body) << "the same 413, however the length was told";
  EXPECT_THAT(answer->head, HasSubstr("Content-Type: application/problem+json\r\n"));
}

TEST(HostileRequestTest, is_told_what_is_wrong_and_what_to_do) {
  HttpServerOptions options;
  options.max_body_bytes = 10;
  Served served(options);
  const std::vector<std::pair<int, std::string>> requests = {
      {400, "GET /?a=%00 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"},
      {431, "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(33'000, 'x') + "\r\n\r\n"},
  };
  for (const auto& [status, request] : requests) {
    TestClient client(served.port());
    client.say(request);
    const auto answer = client.answer();
    ASSERT_TRUE(answer) << status;
    EXPECT_EQ(answer->status, status);
    EXPECT_THAT(answer->head, HasSubstr("Content-Type: application/problem+json\r\n")) << status;
    EXPECT_THAT(answer->body, HasSubstr("\"detail\":\"the ")) << status;
    EXPECT_THAT(answer->body, HasSubstr("\"hint\":\"send ")) << status;
  }
}

TEST(HostileRequestTest, that_says_less_than_it_sends_ends_at_its_length) {
  Served served;
  TestClient client(served.port());
  client.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcdefg\r\n\r\n");
  ASSERT_EQ(client.answer()->body, "3");
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(served.requests, 1);
}

TEST(HostileRequestTest, that_says_more_than_it_sends_is_given_up) {
  HttpServerOptions options;
  options.idle_timeout = 1s;
  Served served(options);
  TestClient client(served.port());
  client.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\nabc");
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(served.requests, 0);
}

TEST(HostileRequestTest, with_a_head_too_large_is_refused) {
  Served served;
  const auto status = [&](const std::string& text) {
    TestClient client(served.port());
    client.say(text);
    const auto answer = client.answer();
    EXPECT_TRUE(client.is_closed());
    return answer ? answer->status : 0;
  };
  EXPECT_THAT(status("GET /" + std::string(200'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"), AnyOf(414, 431));
  EXPECT_THAT(status("GET /" + std::string(33'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"), AnyOf(414, 431));
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(33'000, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(200'000, 'a') + "\r\n\r\n"), 431);
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 6000; ++i) many += "a:b\r\n";
  EXPECT_EQ(status(many + "\r\n"), 431);
  std::string cookies = "GET / HTTP/1.1\r\nHost: h\r\nCookie: ";
  for (int i = 0; i < 10'000; ++i) cookies += "a;";
  EXPECT_EQ(status(cookies + "\r\n\r\n"), 431);
  EXPECT_EQ(served.requests, 0);
  TestClient client(served.port());
  client.say("GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.answer()->status, 200);
}

TEST(HostileRequestTest, cannot_hide_a_query_that_fills_the_memory) {
  // In libmicrohttpd 0.9.75 a list of parameters that fills the connection's memory is a crash or an endless loop.
  Served served;
  const auto before = processor_time();
  for (const char* parameter : {"&", "a&", "a=b&", "=&", "a=&", "==&", "a"}) {
    for (const char* hidden : {"/|?", "/|HTTP/1.1?", "/|HTTP/1.1|?", "/|HTTP/1.1||?", "/?a|&", "/|?a=|b&"}) {
      std::string text = "GET " + nul(hidden);
      while (text.size() < 30'000) text += parameter;
      TestClient client(served.port());
      client.say(text + " HTTP/1.1\r\nHost: h\r\n\r\n");
      const auto answer = client.answer();
      ASSERT_TRUE(answer) << parameter << " " << hidden;
      EXPECT_EQ(answer->status, 400);
      EXPECT_TRUE(client.is_closed());
    }
  }
  EXPECT_LT(processor_time() - before, 3s);
  EXPECT_EQ(served.requests, 0);
  EXPECT_TRUE(served.serves());
}

TEST(HostileConnectionTest, that_sends_a_byte_now_and_then_does_not_stay) {
  HttpServerOptions options;
  options.receive_timeout = 1s;
  Served served(options);
  TestClient head(served.port());
  TestClient body(served.port());
  head.say("GET / HTTP/1.1\r\nHost: h\r\nA: ");
  body.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  const auto drip = [](TestClient& client) { return eventually([&] { return !client.say("x") || (client.hears(50ms), client.is_closed(1ms)); }); };
  EXPECT_TRUE(drip(head));
  EXPECT_TRUE(drip(body));
  EXPECT_EQ(served.requests, 0);
  EXPECT_TRUE(served.serves());
}

TEST(HostileConnectionTest, that_is_idle_does_not_stay) {
  HttpServerOptions options;
  options.idle_timeout = 1s;
  Served served(options);
  TestClient silent(served.port());
  TestClient after_one(served.port());
  after_one.get("/");
  ASSERT_TRUE(after_one.answer());
  EXPECT_TRUE(silent.is_closed());
  EXPECT_TRUE(after_one.is_closed());
  EXPECT_TRUE(eventually([&] { return served.server->connections() == 0; }));
}

TEST(HostileConnectionTest, that_has_closed_its_side_gets_its_answer_and_does_not_stay) {
  Served served;
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<TestClient>(served.port()));
    clients.back()->get("/");
    clients.back()->end_of_sending();
  }
  for (auto& client : clients) {
    ASSERT_TRUE(client->answer());
    EXPECT_TRUE(client->is_closed());
  }
  EXPECT_TRUE(eventually([&] { return served.server->connections() == 0; }));
}

TEST(HostileConnectionTest, that_does_not_read_its_answer_does_not_stay) {
  HttpServerOptions options;
  options.listen = "127.0.0.1:0";
  options.idle_timeout = 1s;
  const auto body = std::make_shared<const std::string>(50'000'000, 'x');
  const auto server = HttpServer::start(options, [&](const ServerRequest&, const Respond& respond) { respond({.body = body}); });
  ASSERT_TRUE(server);
  TestClient client((*server)->port());
  client.get("/");
  EXPECT_TRUE(eventually([&] { return (*server)->connections() == 1; }));
  EXPECT_TRUE(eventually([&] { return (*server)->connections() == 0; }));
}

TEST(HostileConnectionTest, a_thousand_that_are_idle_or_half_open_disturb_nobody) {
  if (!allow_files(2600)) GTEST_SKIP() << "too few open files are allowed here";
  Served served;
  std::vector<std::unique_ptr<TestClient>> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.push_back(std::make_unique<TestClient>(served.port()));
    ASSERT_TRUE(idle.back()->is_connected());
    if (i % 2 == 1) idle.back()->say("GET / HTTP/1.1\r\nHost: h\r\nA");
  }
  ASSERT_TRUE(eventually([&] { return served.server->connections() == 1000; }));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(served.serves());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  for (std::size_t i = 1; i < idle.size(); i += 2) idle[i]->say(": b\r\n\r\n");
  for (std::size_t i = 1; i < idle.size(); i += 2) ASSERT_EQ(idle[i]->answer()->status, 200) << i;
}

TEST(HostileConnectionTest, beyond_the_limit_is_closed_at_once) {
  HttpServerOptions options;
  options.max_connections = 7;
  Served served(options);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 7; ++i) {
    clients.push_back(std::make_unique<TestClient>(served.port()));
    ASSERT_TRUE(eventually([&] { return served.server->connections() == clients.size(); }));
  }
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(TestClient(served.port()).is_closed());
  for (auto& client : clients) {
    client->get("/");
    EXPECT_TRUE(client->answer());
  }
  clients.clear();
  ASSERT_TRUE(eventually([&] { return served.server->connections() == 0; }));
  EXPECT_TRUE(served.serves());
}

TEST(HostileConnectionTest, leaves_files_to_the_rest_of_the_process) {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 100;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  Served served;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 36; ++i) {
    clients.push_back(std::make_unique<TestClient>(served.port()));
    ASSERT_TRUE(eventually([&] { return served.server->connections() == clients.size(); }));
  }
  EXPECT_TRUE(TestClient(served.port()).is_closed());
}

TEST(HostileConnectionTest, without_a_file_for_it_waits_and_nothing_spins) {
  Served served;
  ASSERT_TRUE(served.serves());
  ASSERT_TRUE(eventually([&] { return served.server->connections() == 0; }));
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(socket.get()) + 1;
  std::vector<UniqueFd> gaps;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  while (true) {
    UniqueFd gap(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!gap) break;
    gaps.push_back(std::move(gap));
  }
  TestClient client(served.port(), std::move(socket));
  client.get("/");
  const auto used = processor_time();
  EXPECT_FALSE(client.hears(500ms));
  EXPECT_LT(processor_time() - used, 200ms);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  gaps.clear();
  const auto answer = client.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
}

TEST(HostileConnectionTest, of_any_kind_neither_crashes_nor_hangs_the_server) {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  Served served(options);
  std::mt19937 random(20261125);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::vector<std::string> seeds = {
      "GET /a/b?c=d&e=%66 HTTP/1.1\r\nHost: here\r\nUser-Agent: x\r\n\r\n",
      "POST /api HTTP/1.1\r\nHost: here\r\nContent-Length: 11\r\nContent-Type: text/plain\r\n\r\nhello world",
      "POST /api HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nA: b\r\n\r\n",
      "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nCookie: a=b; c=\"d\"\r\n\r\n",
      "GET http://here/x HTTP/1.1\r\nHost: here\r\nA: b\r\n c\r\n\r\nGET / HTTP/1.1\r\nHost: here\r\n\r\n",
  };
  const std::vector<std::string> pieces = {"\r\n", "\n", "\r", std::string(1, '\0'), " ", "\t", ":", "?", "&", "=", "%", "%00", ";", "\"", ",", "0", "ffffffffffffffff",
                                           "Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n", "Host: x\r\n", "Expect: 100-continue\r\n", "HTTP/1.1", "\xff",
                                           std::string(5000, 'a'), "Connection: close\r\n", "Cookie: ;;==\"\r\n", "\r\n\r\n"};
  std::vector<std::pair<std::unique_ptr<TestClient>, std::string>> waiting;
  for (int i = 0; i < 4000; ++i) {
    std::string text = seeds[below(seeds.size())];
    for (std::size_t changes = below(6); changes > 0; --changes) {
      const std::size_t at = below(text.size() + 1);
      switch (below(4)) {
        case 0: text.insert(at, pieces[below(pieces.size())]); break;
        case 1: text.erase(at, below(8)); break;
        case 2:
          if (at < text.size()) text[at] = static_cast<char>(below(256));
          break;
        default: text.insert(at, text.substr(below(text.size() + 1), below(40))); break;
      }
      if (text.empty()) text = "\r\n";
    }
    auto client = std::make_unique<TestClient>(served.port());
    const std::size_t cut = below(4) == 0 ? below(text.size()) : text.size();
    client->say(std::string_view(text).substr(0, cut));
    client->say(std::string_view(text).substr(cut));
    if (i % 20 == 0) {
      client->end_of_sending();
      waiting.emplace_back(std::move(client), text);
    }
    if (i % 500 == 0) {
      ASSERT_TRUE(served.serves()) << i;
    }
  }
  for (const auto& [client, text] : waiting) EXPECT_TRUE(client->is_closed()) << ::testing::PrintToString(text);
  EXPECT_TRUE(served.serves());
  EXPECT_TRUE(eventually([&] { return served.server->connections() == 0; }));
}

}  // namespace
}  // namespace heimdall
