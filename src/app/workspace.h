#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/error.h"
#include "pipeline/sweep/recover.h"
#include "pipeline/run.h"
#include "ports/object_store.h"
#include "ports/store_traffic.h"
#include "state/state_database.h"
#include "state/state_directory.h"

namespace heimdall {

// One configured bucket with its reference sources. Not thread-safe. Must not outlive its Workspace.
class BucketWorkspace {
 public:
  const BucketConfig& config() const { return *config_; }
  const BucketPolicy& policy() const { return config_->policy; }
  std::span<const SourceBinding> sources() const { return bindings_; }

  // The store for planning: it cannot delete. Opened once.
  Result<ObjectReader*> reader();

 private:
  friend class Workspace;
  BucketWorkspace(const BucketConfig& config, const StoreConfig& store, Clock& clock, StoreTraffic* traffic, std::stop_token stop)
      : config_(&config), store_config_(&store), clock_(&clock), traffic_(traffic), stop_(std::move(stop)) {}

  const BucketConfig* config_;
  const StoreConfig* store_config_;
  Clock* clock_;
  StoreTraffic* traffic_;
  std::stop_token stop_;
  std::vector<std::unique_ptr<ReferenceSource>> sources_;
  std::vector<SourceBinding> bindings_;
  std::unique_ptr<ObjectReader> reader_;
};

// The right to delete in one bucket: the store that can, and the locks that keep everybody else away, for as long as it lives.
class HeldBucket {
 public:
  ObjectStore& store() { return *store_; }
  // The locks in the databases of its references, against sweeps on other hosts.
  std::span<SourceHold* const> source_holds() const { return source_holds_; }

 private:
  friend class Workspace;
  std::unique_ptr<ObjectStore> store_;
  std::optional<FileLock> state_lock_;
  std::shared_ptr<BucketHold> store_hold_;  // shared by the entries of one physical bucket, as these are
  std::vector<std::shared_ptr<SourceHold>> owned_source_holds_;
  std::vector<SourceHold*> source_holds_;
};

// The single place where the configuration becomes objects.
class Workspace {
 public:
  // Opens the state directory (creating it if it is missing) and prepares the buckets named, or all. Contacts no store and no database.
  // `traffic`, if there is one, is told of every request to the stores; it must outlive the workspace. `stop` is that of the run: once it is requested, no
  // store or database is waited for, but for the outcome of what was sent to change something; what needed the answer is cancelled.
  // invalid_argument if a bucket is not configured.
  static Result<std::unique_ptr<Workspace>> open(Config config, std::span<const std::string> bucket_names, Clock& clock, StoreTraffic* traffic = nullptr,
                                                 std::stop_token stop = {});

  // What the user should know about the opening: the state directory was created, a damaged database was set aside.
  const std::vector<std::string>& warnings() const { return warnings_; }

  std::vector<BucketWorkspace>& buckets() { return buckets_; }
  BucketWorkspace* find(std::string_view bucket);
  std::vector<BucketPolicy> policies() const;
  StateDatabase& state() { return *database_; }
  const StateDirectory& directory() const { return directory_; }
  const Config& config() const { return config_; }
  Clock& clock() { return clock_; }

  // All chosen buckets, ready to be scanned. invalid_argument if two of them turn out to overlap in one physical bucket (invariant 8).
  Result<std::vector<ScanTarget>> scan_targets();

  // Opens the bucket for deleting. `locked` if another process sweeps it.
  Result<HeldBucket> hold(BucketWorkspace& bucket);

  // hold() and recover() in one: nothing is swept over what an earlier run left in doubt.
  // What is found goes to `journal` if one is given; it must be one around that of state().
  Result<RecoverReport> recover_bucket(HeldBucket& held, std::stop_token stop, JournalLog* journal = nullptr);

  std::filesystem::path scratch(std::string_view label) const { return directory_.scratch_file(label); }

 private:
  Workspace(Config config, StateDirectory directory, Clock& clock, StoreTraffic* traffic, std::stop_token stop)
      : config_(std::move(config)), directory_(std::move(directory)), clock_(clock), traffic_(traffic), stop_(std::move(stop)) {}
  Result<void> add_bucket(const BucketConfig& bucket);
  Result<void> hold_sources(HeldBucket& held, const BucketWorkspace& bucket, const std::string& identity);

  Config config_;
  StateDirectory directory_;
  Clock& clock_;
  StoreTraffic* traffic_;
  std::stop_token stop_;
  std::unique_ptr<StateDatabase> database_;
  std::vector<BucketWorkspace> buckets_;
  std::vector<std::string> warnings_;
  std::map<std::string, std::weak_ptr<BucketHold>> holds_;  // by physical identity
  std::map<std::pair<std::string, std::string>, std::weak_ptr<SourceHold>> source_holds_;  // by identity and database
};

}  // namespace heimdall
