#include "testing/faulty_store.h"

#include <utility>

namespace heimdall::testing {

namespace {

Error injected() { return {ErrorCode::unavailable, "injected: the store did not answer"}; }

bool is_page_fault(StoreFault fault) {
  return fault == StoreFault::short_page || fault == StoreFault::duplicate_page || fault == StoreFault::reordered_page;
}

ObjectPage slice(const ObjectPage& page, std::size_t from, std::size_t to) {
  ObjectPage result;
  for (std::size_t i = from; i < to; ++i) result.add(page[i]);
  return result;
}

ObjectPage ends_swapped(const ObjectPage& page) {
  ObjectPage result;
  const std::size_t last = page.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) result.add(page[i == 0 ? last : i == last ? 0 : i]);
  return result;
}

}  // namespace

class FaultyListing final : public Listing {
 public:
  FaultyListing(FaultyStore& store, std::unique_ptr<Listing> inner) : store_(store), inner_(std::move(inner)) {}

  Result<PageStatus> next(ObjectPage& page) override {
    const bool strikes = store_.strikes(StoreCall::next_page);
    page.clear();
    if (failed_ || (strikes && !is_page_fault(store_.plan_.fault))) {
      failed_ = true;  // a listing that failed stays failed
      return injected();
    }
    if (pending_) {
      page = std::move(held_back_);
      pending_ = false;
      return status_;
    }
    TRY_ASSIGN(status_, inner_->next(page));
    if (!strikes || page.empty()) return status_;
    return distort(page);
  }

  std::span<const TreeLink> links() const override { return inner_->links(); }

 private:
  Result<PageStatus> distort(ObjectPage& page) {
    const std::size_t half = page.size() / 2;
    switch (store_.plan_.fault) {
      case StoreFault::short_page:
        held_back_ = slice(page, half, page.size());
        page = slice(page, 0, half);
        break;
      case StoreFault::duplicate_page: held_back_ = page; break;
      default: page = ends_swapped(page); return status_;
    }
    pending_ = true;
    return PageStatus::more;
  }

  FaultyStore& store_;
  std::unique_ptr<Listing> inner_;
  ObjectPage held_back_;
  PageStatus status_ = PageStatus::more;
  bool pending_ = false;
  bool failed_ = false;
};

bool FaultyStore::strikes(StoreCall verb) {
  if (plan_.verb != StoreCall::any && plan_.verb != verb) return false;
  return ++calls_ == plan_.call;
}

bool FaultyStore::fails(StoreCall verb) { return strikes(verb) && !is_page_fault(plan_.fault); }

Result<std::string> FaultyStore::identity() {
  if (fails(StoreCall::identity)) return injected();
  return inner_.identity();
}

Result<Timestamp> FaultyStore::server_time() {
  if (fails(StoreCall::server_time)) return injected();
  return inner_.server_time();
}

Result<void> FaultyStore::ping(const std::stop_token& stop) {
  if (fails(StoreCall::ping)) return injected();
  return inner_.ping(stop);
}

Result<std::optional<StoreCapacity>> FaultyStore::capacity() {
  if (fails(StoreCall::capacity)) return injected();
  return inner_.capacity();
}

Result<std::vector<ListRange>> FaultyStore::split(const ListRange& range, const SplitHints& hints) {
  if (fails(StoreCall::split)) return injected();
  return inner_.split(range, hints);
}

Result<std::unique_ptr<Listing>> FaultyStore::list(const ListRange& range) {
  if (fails(StoreCall::list)) return injected();
  TRY_ASSIGN(auto inner, inner_.list(range));
  return std::unique_ptr<Listing>(std::make_unique<FaultyListing>(*this, std::move(inner)));
}

Result<ObjectMeta> FaultyStore::head(const ObjectKey& key) {
  if (fails(StoreCall::head)) return injected();
  return inner_.head(key);
}

std::vector<Result<ObjectMeta>> FaultyStore::inspect(std::span<const ObjectKey> keys) {
  if (fails(StoreCall::inspect)) return std::vector<Result<ObjectMeta>>(keys.size(), Result<ObjectMeta>(injected()));
  return inner_.inspect(keys);
}

Result<std::vector<RemoveOutcome>> FaultyStore::remove(std::span<const ObjectMeta> objects, const SendGate& gate) {
  if (!fails(StoreCall::remove)) return inner_.remove(objects, gate);
  if (plan_.fault == StoreFault::error) return injected();
  if (plan_.fault == StoreFault::timeout_after_effect) TRY(inner_.remove(objects, gate));
  return Error{ErrorCode::in_doubt, "injected: the request was sent and no answer came"};
}

RemoveOutcome FaultyStore::settle(const ObjectMeta& object) {
  if (!fails(StoreCall::settle)) return inner_.settle(object);
  if (plan_.fault == StoreFault::timeout_after_effect) inner_.settle(object);
  return {RemoveOutcome::Kind::in_doubt, "injected: the store did not answer"};
}

Result<std::unique_ptr<BucketHold>> FaultyStore::hold() {
  if (fails(StoreCall::hold)) return injected();
  return inner_.hold();
}

}  // namespace heimdall::testing
