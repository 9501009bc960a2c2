#include "httpd/exchange.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace heimdall {

void Exchange::answer(ServerResponse response) {
  const std::lock_guard lock(mutex_);
  if (answered_) return;
  answered_ = true;
  if (connection_ == nullptr) return;
  answer_ = std::move(response);
  wake_locked();
}

void Exchange::wake() {
  const std::lock_guard lock(mutex_);
  wake_locked();
}

void Exchange::leave_if_asleep() {
  const std::lock_guard lock(mutex_);
  if (!sleeping_) return;
  left_ = true;
  wake_locked();
}

void Exchange::beat(Time silent_since) {
  const std::lock_guard lock(mutex_);
  if (!stream_ || !sleeping_ || said_at_ > silent_since) return;
  beat_due_ = true;
  wake_locked();
}

void Exchange::wake_locked() {
  woken_ = true;
  if (!sleeping_) return;
  sleeping_ = false;
  MHD_resume_connection(connection_);
}

// False: there is something to look at first.
bool Exchange::fall_asleep() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(woken_, false) || left_ || phase_ == ServerPhase::closing) return false;
  MHD_suspend_connection(connection_);
  sleeping_ = true;
  return true;
}

std::variant<ServerResponse, Exchange::Asleep, Exchange::Lost> Exchange::wait_for_answer() {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (answer_) return *std::exchange(answer_, std::nullopt);
      if (left_ || phase_ == ServerPhase::closing) return Lost{};
    }
    if (fall_asleep()) return Asleep{};
  }
}

void Exchange::begin_stream(std::shared_ptr<ServerStream> stream) {
  stream->on_wake([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->wake();
  });
  const std::lock_guard lock(mutex_);
  stream_ = std::move(stream);
  said_at_ = std::chrono::steady_clock::now();
}

ssize_t Exchange::read_stream(char* buffer, std::size_t size) {
  if (sent_ == unsent_.size()) {
    bool beat = false;
    {
      const std::lock_guard lock(mutex_);
      woken_ = false;
      beat = std::exchange(beat_due_, false);
      if (left_ || phase_ == ServerPhase::closing) return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (phase_ == ServerPhase::ending) return MHD_CONTENT_READER_END_OF_STREAM;
    // stream_ changes only in calls of this thread.
    std::optional<std::string> text = stream_->take();
    if (!text) return MHD_CONTENT_READER_END_OF_STREAM;
    if (text->empty() && beat) *text = stream_->heartbeat();
    if (beat || !text->empty()) {
      const std::lock_guard lock(mutex_);
      said_at_ = std::chrono::steady_clock::now();
    }
    if (text->empty()) {
      // Awake in spite of that: libmicrohttpd comes back at once, after it has looked at the others.
      fall_asleep();
      return 0;
    }
    unsent_ = std::move(*text);
    sent_ = 0;
  }
  const std::size_t part = std::min(size, unsent_.size() - sent_);
  std::memcpy(buffer, unsent_.data() + sent_, part);
  sent_ += part;
  if (sent_ == unsent_.size()) {
    unsent_.clear();
    sent_ = 0;
  }
  return static_cast<ssize_t>(part);
}

void Exchange::over() {
  // Destroyed outside of the lock: what they own may call back.
  std::optional<ServerResponse> answer;
  std::shared_ptr<ServerStream> stream;
  const std::lock_guard lock(mutex_);
  connection_ = nullptr;
  sleeping_ = false;
  answer.swap(answer_);
  stream.swap(stream_);
}

}  // namespace heimdall
