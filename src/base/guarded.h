#pragma once

#include <mutex>
#include <utility>

namespace heimdall {

// A value that can only be reached while its mutex is held: `auto figures = guarded.lock(); figures->count++;`
template <class T>
class Guarded {
 public:
  class Access {
   public:
    T& operator*() { return *value_; }
    T* operator->() { return value_; }

   private:
    friend class Guarded;
    Access(std::mutex& mutex, T& value) : lock_(mutex), value_(&value) {}
    std::unique_lock<std::mutex> lock_;
    T* value_;
  };

  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}
  Access lock() { return Access(mutex_, value_); }

 private:
  std::mutex mutex_;
  T value_{};
};

}  // namespace heimdall
