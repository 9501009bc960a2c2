#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "loopback/deleted_set.h"
#include "loopback/http_message.h"
#include "loopback/key_space.h"
#include "loopback/page.h"
#include "loopback/stats.h"

namespace heimdall::loopback {

// How the server is to behave beyond what is right.
struct Pace {
  std::chrono::milliseconds latency{0};         // of each answer; they pass beside each other
  std::chrono::milliseconds delete_latency{0};  // of deletes, in its place
  std::chrono::microseconds per_key{0};         // of listing; one key after the other, for all clients together, as from one disk
  std::uint64_t max_requests_per_second = 0;    // more are answered with 503 SlowDown; 0: no limit
};

// One bucket of generated objects behind the S3 API: lists (V2), HEAD, deletes, and the questions that clients ask about a bucket. Signatures
// are not looked at. What is written below ".heimdall-storage/" is taken and forgotten; nothing else can be written. Thread-safe.
//
// `GET /-/stats` tells what was asked for, `POST /-/reset` begins anew: counters, and deleted objects are there again.
class Bucket final : public Handler {
 public:
  Bucket(std::string name, KeySpace keys, Pace pace);
  Answer answer(const Request& request) override;

 private:
  Answer route(const Request& request);
  Answer answer_bucket(const Request& request);
  Answer answer_object(const Request& request, std::string_view key);
  Answer list(const Request& request);
  Answer remove_many(const Request& request);
  Answer head_object(std::string_view key);
  bool is_too_fast();
  std::chrono::microseconds time_at_the_disk(std::size_t key_count);

  const std::string name_;
  const KeySpace keys_;
  const Pace pace_;
  const std::string last_modified_, last_modified_http_;  // 400 days ago
  DeletedSet deleted_;
  const PageWriter pages_;
  Stats stats_;

  std::mutex mutex_;
  double tokens_ = 0;                                        // of max_requests_per_second
  std::chrono::steady_clock::time_point tokens_at_{};        // when they were counted
  std::chrono::steady_clock::time_point disk_is_free_at_{};  // for per_key
};

}  // namespace heimdall::loopback
