#include "testing/fake_store.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace heimdall::testing {

namespace {

// Held as long as the token lives.
class FakeHold final : public BucketHold {
 public:
  explicit FakeHold(std::shared_ptr<int> token) : token_(std::move(token)) {}

 private:
  std::shared_ptr<int> token_;
};

Error no_such_object(const ObjectKey& key) {
  return {ErrorCode::not_found, format("the object '{}' does not exist", printable(key.bytes()))};
}

}  // namespace

// Continues by key, as S3 does: what is written behind its back, after its position, is seen.
class FakeListing final : public Listing {
 public:
  FakeListing(FakeStore& store, ListRange range) : store_(store), range_(std::move(range)) {}

  Result<PageStatus> next(ObjectPage& page) override {
    if (store_.before_page) store_.before_page();
    page.clear();
    auto state = store_.state_.lock();
    ListRange passed = range_;
    const std::string& from = std::max(range_.after, range_.prefix);
    auto it = state->objects.lower_bound(ObjectKey(from));
    for (; it != state->objects.end(); ++it) {
      const std::string& key = it->first.bytes();
      if (!range_.after.empty() && key <= range_.after) continue;
      if (!key.starts_with(range_.prefix) || (!range_.until.empty() && key > range_.until)) break;
      if (is_reserved_key(key)) continue;
      if (page.size() == state->page_size) {
        passed.until = range_.after;
        meet(state->links, passed);
        return PageStatus::more;
      }
      const ObjectMeta& meta = it->second;
      page.add({key, meta.etag, meta.version_id, meta.size_bytes, meta.last_modified});
      range_.after = key;
    }
    meet(state->links, passed);
    return PageStatus::last;
  }
  std::span<const TreeLink> links() const override { return links_; }

 private:
  void meet(const std::vector<TreeLink>& links, const ListRange& passed) {
    std::ranges::copy_if(links, std::back_inserter(links_), [&](const TreeLink& link) { return passed.holds(link.key); });
  }

  FakeStore& store_;
  ListRange range_;
  std::vector<TreeLink> links_;
};

FakeStore::FakeStore(const Clock& clock, std::string identity) : clock_(clock) {
  state_.lock()->identity = std::move(identity);
}

ObjectMeta FakeStore::put(std::string_view key, std::uint64_t size_bytes) { return put_at(key, size_bytes, clock_.now()); }

ObjectMeta FakeStore::put_at(std::string_view key, std::uint64_t size_bytes, std::optional<Timestamp> last_modified) {
  auto state = state_.lock();
  const ObjectKey name{std::string(key)};
  ObjectMeta meta{name, size_bytes, last_modified, format("etag-{}", ++state->writes), ""};
  state->objects[name] = meta;
  return meta;
}

void FakeStore::erase(std::string_view key) { state_.lock()->objects.erase(ObjectKey(std::string(key))); }

void FakeStore::put_link(std::string key, std::string place) { state_.lock()->links.push_back({std::move(key), std::move(place)}); }

bool FakeStore::contains(std::string_view key) const { return state_.lock()->objects.contains(ObjectKey(std::string(key))); }

std::vector<std::string> FakeStore::keys() const {
  std::vector<std::string> result;
  for (auto state = state_.lock(); const auto& [key, meta] : state->objects) result.push_back(key.bytes());
  return result;
}

std::vector<ObjectMeta> FakeStore::removed() const { return state_.lock()->removed; }

void FakeStore::set_page_size(std::size_t objects) { state_.lock()->page_size = std::max<std::size_t>(objects, 1); }
void FakeStore::set_max_batch(std::size_t objects) { state_.lock()->max_batch = objects; }
void FakeStore::set_identity(std::string identity) { state_.lock()->identity = std::move(identity); }
void FakeStore::set_settle_delay(std::chrono::milliseconds delay) { state_.lock()->settle_delay = delay; }

Result<std::string> FakeStore::identity() { return state_.lock()->identity; }
Result<Timestamp> FakeStore::server_time() { return clock_.now(); }

Result<std::vector<ListRange>> FakeStore::split(const ListRange& range, const SplitHints& hints) {
  auto state = state_.lock();
  std::vector<std::string> inside;
  for (const auto& [key, meta] : state->objects) {
    const std::string& bytes = key.bytes();
    if (bytes.starts_with(range.prefix) && bytes > range.after && (range.until.empty() || bytes <= range.until)) inside.push_back(bytes);
  }
  std::vector<ListRange> ranges = {range};
  for (unsigned i = 1; i < hints.wanted; ++i) {
    const std::size_t cut = inside.size() * i / hints.wanted;
    if (cut == 0 || inside[cut] <= ranges.back().after || inside[cut] == range.until) continue;
    ranges.back().until = inside[cut];
    ranges.push_back({range.prefix, inside[cut], range.until});
  }
  return ranges;
}

Result<std::unique_ptr<Listing>> FakeStore::list(const ListRange& range) {
  return std::unique_ptr<Listing>(std::make_unique<FakeListing>(*this, range));
}

Result<ObjectMeta> FakeStore::head(const ObjectKey& key) {
  auto state = state_.lock();
  const auto it = state->objects.find(key);
  if (it == state->objects.end()) return no_such_object(key);
  return it->second;
}

std::vector<Result<ObjectMeta>> FakeStore::inspect(std::span<const ObjectKey> keys) {
  std::vector<Result<ObjectMeta>> result;
  result.reserve(keys.size());
  for (const ObjectKey& key : keys) result.push_back(head(key));
  return result;
}

void FakeStore::set_capacity(std::optional<StoreCapacity> capacity) { state_.lock()->capacity = capacity; }
Result<std::optional<StoreCapacity>> FakeStore::capacity() { return state_.lock()->capacity; }

std::size_t FakeStore::max_batch() const { return state_.lock()->max_batch; }

Result<std::vector<RemoveOutcome>> FakeStore::remove(std::span<const ObjectMeta> objects, const SendGate& gate) {
  if (objects.size() > max_batch()) {
    return Error{ErrorCode::invalid_argument, format("{} objects are more than one batch takes", objects.size())};
  }
  std::vector<RemoveOutcome> outcomes;
  outcomes.reserve(objects.size());
  for (const ObjectMeta& object : objects) {
    if (before_remove) before_remove(object);
    outcomes.push_back(remove_one(object, gate));
  }
  return outcomes;
}

RemoveOutcome FakeStore::remove_one(const ObjectMeta& object, const SendGate& gate) {
  using Kind = RemoveOutcome::Kind;
  if (is_reserved_key(object.key.bytes())) return {Kind::failed, "the key is reserved"};
  if (!gate.is_open()) return {Kind::not_sent, ""};
  auto state = state_.lock();
  const auto it = state->objects.find(object.key);
  if (it == state->objects.end()) return {Kind::already_gone, ""};
  if (it->second != object) return {Kind::changed, "the object was rewritten"};
  state->objects.erase(it);
  state->removed.push_back(object);
  return {Kind::deleted, ""};
}

RemoveOutcome FakeStore::settle(const ObjectMeta& object) {
  using Kind = RemoveOutcome::Kind;
  auto state = state_.lock();
  const auto it = state->objects.find(object.key);
  if (it == state->objects.end()) return {Kind::deleted, ""};
  if (it->second != object) return {Kind::changed, "another object is there now"};
  return {Kind::failed, "it is still there"};
}

std::chrono::milliseconds FakeStore::settle_delay() const { return state_.lock()->settle_delay; }

Result<std::unique_ptr<BucketHold>> FakeStore::hold() {
  auto state = state_.lock();
  if (!state->holder.expired()) return Error{ErrorCode::locked, "another process is deleting in this bucket"};
  auto token = std::make_shared<int>(0);
  state->holder = token;
  return std::unique_ptr<BucketHold>(std::make_unique<FakeHold>(std::move(token)));
}

}  // namespace heimdall::testing
