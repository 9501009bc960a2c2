#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "ports/object_store.h"

namespace heimdall::testing {

// A gate that never closes, and one that a test closes.
class OpenGate final : public SendGate {
 public:
  bool is_open() const override { return true; }
};
class ClosableGate final : public SendGate {
 public:
  bool is_open() const override { return open_; }
  void close() { open_ = false; }

 private:
  std::atomic<bool> open_{true};
};

// A bucket in memory that keeps the contract of ObjectStore (tests/contract runs on it). Thread-safe, but for the hooks:
// set those before the store is used.
class FakeStore final : public ObjectStore {
 public:
  // `clock` dates the objects and is what server_time() tells.
  explicit FakeStore(const Clock& clock, std::string identity = "fake:1");

  // Creates or rewrites: each call makes another ETag, also for the same size and time.
  ObjectMeta put(std::string_view key, std::uint64_t size_bytes = 1);
  // nullopt: a date that did not parse.
  ObjectMeta put_at(std::string_view key, std::uint64_t size_bytes, std::optional<Timestamp> last_modified);
  void erase(std::string_view key);
  // A symbolic link; no object lies at its key.
  void put_link(std::string key, std::string place);
  bool contains(std::string_view key) const;
  // All keys in byte order, reserved ones included.
  std::vector<std::string> keys() const;
  // What remove() deleted, in order.
  std::vector<ObjectMeta> removed() const;

  void set_page_size(std::size_t objects);
  void set_max_batch(std::size_t objects);
  void set_identity(std::string identity);
  void set_capacity(std::optional<StoreCapacity> capacity);
  void set_settle_delay(std::chrono::milliseconds delay);

  // Called without a lock, so that they may change the store: before remove() looks at each object, before each page.
  std::function<void(const ObjectMeta&)> before_remove;
  std::function<void()> before_page;

  Result<std::string> identity() override;
  Result<Timestamp> server_time() override;
  Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) override;
  Result<std::unique_ptr<Listing>> list(const ListRange& range) override;
  Result<ObjectMeta> head(const ObjectKey& key) override;
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override;
  Result<std::optional<StoreCapacity>> capacity() override;
  std::size_t max_batch() const override;
  Result<std::vector<RemoveOutcome>> remove(std::span<const ObjectMeta> objects, const SendGate& gate) override;
  RemoveOutcome settle(const ObjectMeta& object) override;
  std::chrono::milliseconds settle_delay() const override;
  Result<std::unique_ptr<BucketHold>> hold() override;

 private:
  friend class FakeListing;
  struct State {
    std::string identity;
    std::map<ObjectKey, ObjectMeta> objects;
    std::vector<TreeLink> links;
    std::vector<ObjectMeta> removed;
    std::uint64_t writes = 0;
    std::size_t page_size = 1000;
    std::size_t max_batch = 1000;
    std::optional<StoreCapacity> capacity;
    std::chrono::milliseconds settle_delay{0};
    std::weak_ptr<int> holder;
  };
  RemoveOutcome remove_one(const ObjectMeta& object, const SendGate& gate);

  const Clock& clock_;
  mutable Guarded<State> state_;
};

}  // namespace heimdall::testing
