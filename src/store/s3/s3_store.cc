#include "store/s3/s3_store.h"

#include <set>
#include <utility>

#include "base/format.h"
#include "base/guarded.h"
#include "base/text.h"
#include "store/s3/bucket_hold.h"
#include "store/s3/s3_delete.h"
#include "store/s3/s3_inspect.h"
#include "store/s3/s3_probe.h"
#include "store/s3/s3_reader.h"
#include "store/s3/s3_session.h"

namespace heimdall {

namespace {

class AlwaysOpen final : public SendGate {
 public:
  bool is_open() const override { return true; }
};

class S3Store final : public ObjectStore {
 public:
  explicit S3Store(std::unique_ptr<S3Session> session) : reader_(std::move(session)) {}

  Result<std::string> identity() override { return reader_.identity(); }
  Result<Timestamp> server_time() override { return reader_.server_time(); }
  Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) override { return reader_.split(range, hints); }
  Result<std::unique_ptr<Listing>> list(const ListRange& range) override { return reader_.list(range); }
  ListingLimits listing_limits() override { return reader_.listing_limits(); }
  Result<ObjectMeta> head(const ObjectKey& key) override { return reader_.head(key); }
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override;
  Result<StoreFacts> facts() override { return reader_.facts(); }
  Result<void> ping(const std::stop_token& stop) override { return reader_.ping(stop); }
  Result<std::optional<StoreCapacity>> capacity() override { return reader_.capacity(); }
  StoreStrain strain() const override { return reader_.strain(); }

  std::size_t max_batch() const override { return kMaxBatch; }
  Result<std::vector<RemoveOutcome>> remove(std::span<const ObjectMeta> objects, const SendGate& gate) override;
  RemoveOutcome settle(const ObjectMeta& object) override;
  std::vector<RemoveOutcome> settle_all(std::span<const ObjectMeta> objects) override;
  std::chrono::milliseconds settle_delay() const override;
  Result<DeleteFacts> try_deleting(TryBy by) override;
  Result<std::unique_ptr<BucketHold>> hold() override;

 private:
  static constexpr std::size_t kMaxBatch = 1000;  // what S3 takes in one multi-delete

  S3Session& session() const { return reader_.session(); }
  S3Conditions conditions(const SendGate& gate);

  S3Reader reader_;
  S3Sightings sightings_;
  Guarded<std::optional<S3Conditions>> conditions_;  // held while they are found out: once is enough
};

std::vector<Result<ObjectMeta>> S3Store::inspect(std::span<const ObjectKey> keys) {
  const BootTime since = session().clock().boot_now();
  auto found = reader_.inspect(keys);
  for (const auto& object : found) {
    if (object) sightings_.add(*object, since);
  }
  return found;
}

// Invariants 5, 6, 8 and 12: see S3Removal.
Result<std::vector<RemoveOutcome>> S3Store::remove(std::span<const ObjectMeta> objects, const SendGate& gate) {
  const auto refuse = [](std::string message) { return Error{ErrorCode::invalid_argument, std::move(message)}; };
  if (objects.size() > kMaxBatch) return refuse(format("{} are more than the {} of a batch", count_of(objects.size(), "object"), kMaxBatch));
  std::set<std::string_view> keys;
  for (const ObjectMeta& object : objects) {
    const std::string& key = object.key.bytes();
    // DELETE of the path that an empty key makes is the bucket's own.
    if (key.empty()) return refuse("an object has no empty key");
    if (is_reserved_key(key)) return refuse(format("'{}' is reserved and never deleted", printable(key)));
    if (!keys.insert(key).second) return refuse(format("'{}' is in the batch twice", printable(key)));
  }
  return S3Removal(session(), sightings_, objects, gate, [&] { return conditions(gate); }).run();
}

S3Conditions S3Store::conditions(const SendGate& gate) {
  auto known = conditions_.lock();
  if (!*known) {
    const S3Conditions seen = S3Probe(session(), gate).find_conditions(S3Probe::Versions::leave_alone);
    // A gate that closed in between tells nothing about the server.
    if (!gate.is_open()) return {};
    *known = seen;
  }
  return **known;
}

RemoveOutcome S3Store::settle(const ObjectMeta& object) { return settle_all({&object, 1}).front(); }

std::vector<RemoveOutcome> S3Store::settle_all(std::span<const ObjectMeta> objects) {
  using Kind = RemoveOutcome::Kind;
  std::vector<ObjectKey> keys;
  for (const ObjectMeta& object : objects) keys.push_back(object.key);
  const auto found = reader_.inspect(keys);
  std::vector<RemoveOutcome> outcomes;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (!found[i] && found[i].error().code == ErrorCode::not_found) outcomes.push_back({Kind::deleted, ""});
    else if (!found[i]) outcomes.push_back({Kind::in_doubt, found[i].error().message});
    else if (*found[i] != objects[i]) outcomes.push_back({Kind::changed, "another object is there now"});
    else outcomes.push_back({Kind::failed, "it is still there"});
  }
  return outcomes;
}

// MinIO goes on with a multi-delete after its client hung up. A request cannot leave later than its time-out; the rest is for what the
// kernel, a proxy and the server's own queue keep of it.
std::chrono::milliseconds S3Store::settle_delay() const { return session().options().request_timeout + std::chrono::seconds(5); }

Result<DeleteFacts> S3Store::try_deleting(TryBy by) {
  const AlwaysOpen gate;
  S3Probe probe(session(), gate);
  DeleteFacts facts;
  TRY_ASSIGN(facts.proved, probe.may_delete());
  if (by == TryBy::asking) return facts;
  const S3Conditions seen = probe.find_conditions(S3Probe::Versions::try_anyway);
  facts.honours_if_match = seen.single || seen.multi;
  facts.not_told = probe.not_told();
  if (facts.not_told.empty()) facts.proved = true;
  return facts;
}

Result<std::unique_ptr<BucketHold>> S3Store::hold() {
  TRY_ASSIGN(const std::string identity, identity());
  // Also under its name at this endpoint: another process may have keys that cannot ask for the creation date.
  std::set<std::string> names = {identity, reader_.name_here()};
  const std::vector<std::string> sorted(names.begin(), names.end());
  return hold_names(sorted, format("bucket '{}'", session().endpoint().bucket()));
}

}  // namespace

Result<std::unique_ptr<ObjectReader>> open_s3_reader(S3Options options, Clock& clock) {
  TRY_ASSIGN(std::unique_ptr<S3Session> session, S3Session::open(std::move(options), clock));
  return std::unique_ptr<ObjectReader>(std::make_unique<S3Reader>(std::move(session)));
}

Result<std::unique_ptr<ObjectStore>> open_s3_store(S3Options options, Clock& clock) {
  TRY_ASSIGN(std::unique_ptr<S3Session> session, S3Session::open(std::move(options), clock));
  return std::unique_ptr<ObjectStore>(std::make_unique<S3Store>(std::move(session)));
}

}  // namespace heimdall
