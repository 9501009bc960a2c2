// A client that asks for list pages and drops them: what a server can deliver to anybody.
//
// Reads streams from standard input, one a line: PREFIX <tab> START-AFTER <tab> PAGES. A stream is that many pages (0: to its end), each asked for by
// the token of the one before. Each worker has a connection and takes the next stream. Of an answer, only its first bytes are looked at (the
// number of keys and the token; MinIO and heimdall-loopback write both before the keys); the rest never leaves the kernel.
//
// Requests are signed if AWS_ACCESS_KEY_ID is set. Prints {"pages","keys","bytes","seconds"}.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/format.h"
#include "io/fd.h"
#include "io/sha256.h"
#include "store/s3/sigv4.h"

namespace heimdall {
namespace {

struct Stream {
  std::string prefix, start_after;
  std::uint64_t pages = 0;
};

struct Options {
  std::string host;  // "127.0.0.1:9000"
  std::string bucket;
  std::string region = "us-east-1";
  unsigned workers = 1;
  std::optional<Credentials> credentials;
};

struct Totals {
  std::atomic<std::uint64_t> pages{0}, keys{0}, bytes{0};
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "do-nothing: %s\n", why.c_str());
  std::exit(1);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// What stands between `open` and `close`; empty if it is not there.
std::string_view between(std::string_view text, std::string_view open, std::string_view close) {
  const std::size_t begin = text.find(open);
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin + open.size());
  return text.substr(0, text.find(close));
}

class Worker {
 public:
  Worker(const Options& options, Totals& totals) : options_(options), totals_(totals), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const std::size_t colon = options.host.find(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(number(std::string_view(options.host).substr(colon + 1))));
    const int on = 1;
    setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (inet_pton(AF_INET, options.host.substr(0, colon).c_str(), &address.sin_addr) != 1 ||
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      give_up("cannot connect to " + options.host + ", which has to be an IPv4 address and a port");
    }
  }

  void read(const Stream& stream) {
    std::string token;
    std::uint64_t pages = 0;
    do {
      token = read_page(stream, token);
      ++pages;
    } while (!token.empty() && pages != stream.pages);
    totals_.pages += pages;
  }

 private:
  std::string read_page(const Stream& stream, const std::string& token) {
    send(request(stream, token));
    std::string begin;
    std::size_t head_end = std::string::npos;
    while ((head_end = begin.find("\r\n\r\n")) == std::string::npos) receive(begin);
    head_end += 4;
    if (!begin.starts_with("HTTP/1.1 200")) give_up("refused: " + begin);
    const std::size_t length = number(between(begin, "Content-Length: ", "\r\n"));
    if (length == 0) give_up("an answer without Content-Length: " + begin.substr(0, head_end));
    const std::size_t all = head_end + length;
    while (begin.size() < std::min(all, head_end + kLookedAt)) receive(begin);
    const std::string_view body = std::string_view(begin).substr(head_end);
    std::string next(between(body, "<NextContinuationToken>", "</"));
    totals_.keys += number(between(body, "<KeyCount>", "</"));
    totals_.bytes += all;
    drop(all - begin.size());
    return next;
  }

  std::string request(const Stream& stream, const std::string& token) const {
    SigningInput input;
    input.host = options_.host;
    input.path = "/" + options_.bucket;
    input.payload_sha256 = sha256_hex("");
    input.region = options_.region;
    input.query = {{"encoding-type", "url"}, {"list-type", "2"}, {"max-keys", "1000"}};
    const auto add = [&](const char* name, const std::string& value) {
      if (!value.empty()) input.query.emplace_back(name, s3_encode(value, Slash::encode));
    };
    add("prefix", stream.prefix);
    add(token.empty() ? "start-after" : "continuation-token", token.empty() ? stream.start_after : token);
    std::string text = format("GET {}?", input.path);
    for (const auto& [name, value] : input.query) text += format("{}={}&", name, value);
    text.pop_back();
    text += format(" HTTP/1.1\r\nHost: {}\r\n", options_.host);
    if (options_.credentials) {
      for (const HttpHeader& header : sign(input, *options_.credentials, std::chrono::system_clock::now())) {
        text += format("{}: {}\r\n", header.name, header.value);
      }
    }
    return text + "\r\n";
  }

  void send(const std::string& text) {
    if (::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) give_up("a request could not be sent");
  }

  void receive(std::string& begin) {
    const std::size_t before = begin.size();
    begin.resize(before + kLookedAt);
    const ssize_t n = ::recv(socket_.get(), begin.data() + before, kLookedAt, 0);
    if (n <= 0) give_up("the server hung up");
    begin.resize(before + static_cast<std::size_t>(n));
  }

  // MSG_TRUNC of a stream: gone, and never copied (tcp(7)).
  void drop(std::size_t left) {
    while (left > 0) {
      const ssize_t n = ::recv(socket_.get(), nullptr, left, MSG_TRUNC | MSG_WAITALL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) give_up("the server hung up");
      left -= static_cast<std::size_t>(n);
    }
  }

  static constexpr std::size_t kLookedAt = 4096;
  const Options& options_;
  Totals& totals_;
  const UniqueFd socket_;
};

std::vector<Stream> read_streams() {
  std::vector<Stream> streams;
  for (std::string line; std::getline(std::cin, line);) {
    const std::size_t first = line.find('\t'), second = line.find('\t', first + 1);
    if (second == std::string::npos) give_up("a line is not PREFIX <tab> START-AFTER <tab> PAGES: " + line);
    streams.push_back({line.substr(0, first), line.substr(first + 1, second - first - 1), number(std::string_view(line).substr(second + 1))});
  }
  return streams;
}

void run(const Options& options) {
  const std::vector<Stream> streams = read_streams();
  Totals totals;
  std::atomic<std::size_t> next{0};
  const auto started = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options.workers; ++i) {
      threads.emplace_back([&] {
        Worker worker(options, totals);
        for (std::size_t at = next++; at < streams.size(); at = next++) worker.read(streams[at]);
      });
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::cout << format(R"({{"pages":{},"keys":{},"bytes":{},"seconds":{:.4f}}})", totals.pages.load(), totals.keys.load(), totals.bytes.load(), seconds)
            << std::endl;
}

}  // namespace
}  // namespace heimdall

int main(int argc, char** argv) {
  heimdall::Options options;
  std::string endpoint;
  CLI::App app("Reads list pages and drops them. Streams (PREFIX <tab> START-AFTER <tab> PAGES) come from standard input.");
  app.add_option("--endpoint", endpoint, "http://IPv4-address:port")->required();
  app.add_option("--bucket", options.bucket)->required();
  app.add_option("--region", options.region);
  app.add_option("--workers", options.workers, "requests at one time");
  CLI11_PARSE(app, argc, argv);
  options.host = endpoint.substr(endpoint.starts_with("http://") ? 7 : 0);
  const char* const access = std::getenv("AWS_ACCESS_KEY_ID");
  const char* const secret = std::getenv("AWS_SECRET_ACCESS_KEY");
  if (access != nullptr && secret != nullptr) options.credentials = heimdall::Credentials{access, secret, ""};
  heimdall::run(options);
  return 0;
}
