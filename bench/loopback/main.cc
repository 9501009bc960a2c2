#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

#include <CLI/CLI.hpp>

#include "base/format.h"
#include "loopback/bucket.h"
#include "loopback/expected.h"
#include "loopback/http_server.h"

namespace heimdall::loopback {
namespace {

struct Options {
  std::string shape = "hierarchical";
  std::uint64_t count = 1'000'000;
  std::uint64_t orphan_every = 10, dangling = 0;
  std::uint64_t keys_per_stream = 1000;
  std::string bucket = "bench";
  HttpServer::Options http{.name = "heimdall-loopback"};
  std::int64_t latency_ms = 0, delete_latency_ms = 0, per_key_us = 0;
  std::uint64_t max_requests_per_second = 0;
};

KeySpace key_space(const Options& options) { return {*parse_shape(options.shape), options.count}; }

void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

// Until a signal comes or, where standard input is a pipe, whoever holds its other end is gone.
void wait_for_the_end(const sigset_t& signals) {
  struct stat input{};
  const bool is_pipe = fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode));
  for (;;) {
    const timespec moment{0, 200'000'000};
    if (sigtimedwait(&signals, nullptr, &moment) > 0) return;
    pollfd other{STDIN_FILENO, 0, 0};
    if (is_pipe && ::poll(&other, 1, 0) > 0 && (other.revents & POLLHUP) != 0) return;
  }
}

int serve(const Options& options) {
  // Pages come from the heap again and again; given back to the kernel each time, they would cost more there than they take to write.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // in the server's threads, too

  Bucket bucket(options.bucket, key_space(options),
                {.latency = std::chrono::milliseconds(options.latency_ms), .delete_latency = std::chrono::milliseconds(options.delete_latency_ms),
                 .per_key = std::chrono::microseconds(options.per_key_us), .max_requests_per_second = options.max_requests_per_second});
  const auto server = HttpServer::start(options.http, bucket);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().message.c_str());
    return 1;
  }
  say(format(R"({{"port":{},"endpoint":"http://127.0.0.1:{}","bucket":"{}","pid":{}}})", (*server)->port(), (*server)->port(), options.bucket, getpid()));
  wait_for_the_end(signals);
  return 0;
}

int write_keys(const Options& options) {
  const KeySpace keys = key_space(options);
  if (write_references({keys, options.orphan_every, options.dangling}, STDOUT_FILENO)) return 0;
  std::fprintf(stderr, "cannot write to standard output: %s\n", std::strerror(errno));
  return 1;
}

// What bench/do_nothing reads: a page each, cut where the one before ends.
int write_streams(const Options& options) {
  const KeySpace keys = key_space(options);
  for (std::uint64_t i = 0; i < keys.count(); i += options.keys_per_stream) {
    std::fputs(format("\t{}\t{}\n", i == 0 ? "" : keys.key(i - 1), options.keys_per_stream / 1000).c_str(), stdout);
  }
  return 0;
}

int expect(const Options& options) {
  const KeySpace keys = key_space(options);
  say(to_json(expected_of({keys, options.orphan_every, options.dangling})));
  return 0;
}

void add_key_space(CLI::App& command, Options& options) {
  command.add_option("--shape", options.shape, "flat, hierarchical, skewed, giant or adversarial")
      ->check(CLI::IsMember({"flat", "hierarchical", "skewed", "giant", "adversarial"}));
  command.add_option("--count", options.count, "number of objects");
}

void add_references(CLI::App& command, Options& options) {
  add_key_space(command, options);
  command.add_option("--orphan-every", options.orphan_every, "every K-th object is an orphan; 0: none is");
  command.add_option("--dangling", options.dangling, "number of references beside these that name no object");
}

void add_pace(CLI::App& command, Options& options) {
  command.add_option("--latency-ms", options.latency_ms, "before each answer; requests wait beside each other");
  command.add_option("--delete-latency-ms", options.delete_latency_ms, "the same for deletes");
  command.add_option("--per-key-us", options.per_key_us, "more before a page for each of its keys, one after the other, as from one disk");
  command.add_option("--max-requests-per-second", options.max_requests_per_second, "beyond these the answer is 503 SlowDown");
}

}  // namespace
}  // namespace heimdall::loopback

int main(int argc, char** argv) {
  using namespace heimdall::loopback;
  Options options;
  CLI::App app("An S3 server whose objects are computed, and the references that a database would hold for them.");
  app.require_subcommand(1);
  CLI::App& serving = *app.add_subcommand("serve", "serves the bucket on 127.0.0.1; prints one line of JSON when it is ready");
  add_key_space(serving, options);
  add_pace(serving, options);
  serving.add_option("--bucket", options.bucket, "its name");
  serving.add_option("--port", options.http.port, "0: any that is free");
  serving.add_option("--threads", options.http.threads, "that serve");
  serving.add_option("--server-name", options.http.name, "what the header Server says");
  CLI::App& writing = *app.add_subcommand("references", "writes the keys that a database names, one a line");
  add_references(writing, options);
  CLI::App& expecting = *app.add_subcommand("expected", "prints what a scan has to find, as JSON");
  add_references(expecting, options);
  CLI::App& cutting = *app.add_subcommand("streams", "prints the whole list as streams for do-nothing");
  add_key_space(cutting, options);
  cutting.add_option("--keys-per-stream", options.keys_per_stream, "a multiple of 1000")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  if (cutting.parsed()) return write_streams(options);
  if (serving.parsed()) return serve(options);
  return writing.parsed() ? write_keys(options) : expect(options);
}
