#include "app/open_checks.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "app/open_source.h"
#include "app/open_store.h"
#include "ports/object_store.h"
#include "ports/reference_source.h"

namespace heimdall {

namespace {

// A server's reader is kept while all is well, and its connection with it: a new one costs a handshake. A directory's is not: it holds on to what it opened.
class StoreCheck {
 public:
  StoreCheck(StoreConfig store, BucketPolicy bucket, Clock& clock, StoreTraffic* traffic)
      : store_(std::move(store)), bucket_(std::move(bucket)), clock_(clock), traffic_(traffic) {}

  Result<void> look(const std::stop_token& stop) {
    auto reader = std::exchange(kept_, nullptr);
    if (reader == nullptr) {
      TRY_ASSIGN(reader, open_reader(store_, bucket_, clock_, traffic_));
    }
    TRY(reader->ping(stop));
    if (store_.kind == StoreKind::s3) kept_ = std::move(reader);
    return {};
  }

 private:
  StoreConfig store_;
  BucketPolicy bucket_;
  Clock& clock_;
  StoreTraffic* traffic_;
  std::unique_ptr<ObjectReader> kept_;
};

DependencyCheck check_of(const StoreConfig& store, const BucketPolicy& bucket, Clock& clock, StoreTraffic* traffic) {
  const auto check = std::make_shared<StoreCheck>(store, bucket, clock, traffic);
  return {"store", store.name, [check](const std::stop_token& stop) { return check->look(stop); }};
}

// Of all references to one place the first one stands for it: ping() does not look at queries.
DependencyCheck check_of(const std::shared_ptr<const Config>& config, const ReferenceConfig& reference, Clock& clock) {
  const bool is_list = reference.kind == ReferenceKind::list;
  return {is_list ? "list" : "database", is_list ? reference.list.string() : reference.database,
          [config, reference, &clock](const std::stop_token& stop) -> Result<void> {
            TRY_ASSIGN(const auto source, open_source(*config, reference, clock));
            return source->ping(stop);
          }};
}

}  // namespace

std::vector<DependencyCheck> dependency_checks(const Config& config, Clock& clock, StoreTraffic* traffic) {
  std::vector<DependencyCheck> stores, sources;
  std::set<std::pair<std::string, std::string>> known;
  const auto is_new = [&](const DependencyCheck& check) { return known.emplace(check.kind, check.name).second; };
  const auto kept = std::make_shared<const Config>(config);
  for (const BucketConfig& bucket : config.buckets) {
    DependencyCheck store = check_of(*config.find_store(bucket.store), bucket.policy, clock, traffic);
    if (is_new(store)) stores.push_back(std::move(store));
    for (const ReferenceConfig& reference : bucket.references) {
      if (reference.is_stdin()) continue;
      DependencyCheck source = check_of(kept, reference, clock);
      if (is_new(source)) sources.push_back(std::move(source));
    }
  }
  std::move(sources.begin(), sources.end(), std::back_inserter(stores));
  return stores;
}

}  // namespace heimdall
