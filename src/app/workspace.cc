#include "app/workspace.h"

#include <algorithm>
#include <set>

#include "app/open_source.h"
#include "app/open_store.h"
#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

Error unknown_bucket(const Config& config, const std::string& name) {
  std::vector<std::string> known;
  for (const BucketConfig& bucket : config.buckets) known.push_back(bucket.policy.name);
  const auto near = nearest(name, known);
  std::string all;
  for (const std::string& bucket : known) all += (all.empty() ? "" : ", ") + bucket;
  return Error{ErrorCode::invalid_argument, format("bucket '{}' is not in '{}'", printable(name), config.path.string()),
               near ? format("did you mean '{}'?", *near) : format("the configured ones are: {}", all)};
}

}  // namespace

Result<ObjectReader*> BucketWorkspace::reader() {
  if (!reader_) {
    TRY_ASSIGN(reader_, open_reader(*store_config_, config_->policy, *clock_, traffic_, stop_));
  }
  return reader_.get();
}

Result<std::unique_ptr<Workspace>> Workspace::open(Config config, std::span<const std::string> bucket_names, Clock& clock,
                                                    StoreTraffic* traffic, std::stop_token stop) {
  for (const std::string& name : bucket_names) {
    if (config.find_bucket(name) == nullptr) return unknown_bucket(config, name);
  }
  TRY_ASSIGN(StateDirectory directory, StateDirectory::open(config.state));
  std::unique_ptr<Workspace> workspace(new Workspace(std::move(config), std::move(directory), clock, traffic, std::move(stop)));
  if (workspace->directory_.created()) {
    workspace->warnings_.push_back(
        format("the state directory '{}' did not exist and was created; grace starts now", workspace->directory_.root().string()));
  }
  TRY_ASSIGN(StateDatabase::Opened opened, StateDatabase::open(workspace->directory_, clock));
  workspace->database_ = std::move(opened.database);
  if (!opened.warning.empty()) workspace->warnings_.push_back(std::move(opened.warning));
  TRY(workspace->database_->mark_interrupted_runs());
  for (const BucketConfig& bucket : workspace->config_.buckets) {
    const bool chosen = bucket_names.empty() ||
                        std::find(bucket_names.begin(), bucket_names.end(), bucket.policy.name) != bucket_names.end();
    if (chosen) TRY(workspace->add_bucket(bucket));
  }
  return workspace;
}

Result<void> Workspace::add_bucket(const BucketConfig& bucket) {
  BucketWorkspace added(bucket, *config_.find_store(bucket.store), clock_, traffic_, stop_);
  for (std::size_t i = 0; i < bucket.references.size(); ++i) {
    TRY_ASSIGN(std::unique_ptr<ReferenceSource> source, open_source(config_, bucket.references[i], clock_, stop_));
    added.bindings_.push_back({source.get(), &bucket.policy.sources[i]});
    added.sources_.push_back(std::move(source));
  }
  buckets_.push_back(std::move(added));
  return {};
}

BucketWorkspace* Workspace::find(std::string_view bucket) {
  const auto at = std::find_if(buckets_.begin(), buckets_.end(), [&](const BucketWorkspace& b) {
    const auto& aliases = b.policy().sources.front().mapping.aliases;
    return b.policy().name == bucket || std::find(aliases.begin(), aliases.end(), bucket) != aliases.end();
  });
  return at == buckets_.end() ? nullptr : &*at;
}

std::vector<BucketPolicy> Workspace::policies() const {
  std::vector<BucketPolicy> policies;
  for (const BucketWorkspace& bucket : buckets_) policies.push_back(bucket.policy());
  return policies;
}

namespace {

bool overlap(const std::vector<std::string>& some, const std::vector<std::string>& others) {
  return std::any_of(some.begin(), some.end(), [&](const std::string& a) {
    return std::any_of(others.begin(), others.end(),
                       [&](const std::string& b) { return a.starts_with(b) || b.starts_with(a); });
  });
}

}  // namespace

Result<std::vector<ScanTarget>> Workspace::scan_targets() {
  std::vector<ScanTarget> targets;
  std::vector<std::string> identities;
  for (BucketWorkspace& bucket : buckets_) {
    TRY_ASSIGN(ObjectReader* const reader, bucket.reader());
    TRY_ASSIGN(const std::string identity, reader->identity());
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (identities[i] != identity || !overlap(targets[i].policy.prefixes, bucket.policy().prefixes)) continue;
      return Error{ErrorCode::invalid_argument,
                   format("buckets '{}' and '{}' overlap in one physical bucket: what one does not refer to the other may",
                          targets[i].policy.name, bucket.policy().name),
                   "make them one entry with the references of both"};
    }
    identities.push_back(identity);
    const std::string& name = bucket.policy().name;
    targets.push_back({*reader, bucket.policy(), bucket.sources(), directory_.ledger(name), scratch(name)});
  }
  return targets;
}

Result<HeldBucket> Workspace::hold(BucketWorkspace& bucket) {
  HeldBucket held;
  TRY_ASSIGN(FileLock lock, directory_.lock_bucket(bucket.policy().name));
  held.state_lock_ = std::move(lock);
  TRY_ASSIGN(held.store_, open_store(*bucket.store_config_, bucket.policy(), clock_, traffic_, stop_));
  TRY_ASSIGN(const std::string identity, held.store_->identity());
  held.store_hold_ = holds_[identity].lock();
  if (held.store_hold_ == nullptr) {
    TRY_ASSIGN(std::unique_ptr<BucketHold> hold, held.store_->hold());
    held.store_hold_ = std::move(hold);
    holds_[identity] = held.store_hold_;
  }
  TRY(hold_sources(held, bucket, identity));
  return held;
}

// One lock in each database, however many references and buckets it serves.
Result<void> Workspace::hold_sources(HeldBucket& held, const BucketWorkspace& bucket, const std::string& identity) {
  std::set<const DatabaseConfig*> asked;
  for (std::size_t i = 0; i < bucket.sources_.size(); ++i) {
    // Of the databases only servers have such locks.
    const DatabaseConfig* const database = config_.find_database(bucket.config_->references[i].database);
    if (database == nullptr || database->kind != DatabaseKind::postgresql || !asked.insert(database).second) continue;
    TRY_ASSIGN(const SourceIdentity source, bucket.sources_[i]->identity());
    std::weak_ptr<SourceHold>& known = source_holds_[{identity, source.database}];
    std::shared_ptr<SourceHold> hold = known.lock();
    if (hold == nullptr) {
      auto taken = bucket.sources_[i]->hold("heimdall-storage sweep of " + identity);
      if (!taken) return with_context(std::move(taken).error(), format("references '{}'", bucket.policy().sources[i].name));
      hold = std::move(*taken);
      known = hold;
    }
    const bool is_new = hold != nullptr && std::find(held.source_holds_.begin(), held.source_holds_.end(), hold.get()) == held.source_holds_.end();
    if (!is_new) continue;
    held.source_holds_.push_back(hold.get());
    held.owned_source_holds_.push_back(std::move(hold));
  }
  return {};
}

Result<RecoverReport> Workspace::recover_bucket(HeldBucket& held, std::stop_token stop, JournalLog* journal) {
  return recover(held.store(), journal == nullptr ? *database_ : *journal, *database_, clock_, std::move(stop));
}

}  // namespace heimdall
