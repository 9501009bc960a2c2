#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "ports/object_store.h"
#include "store/fs/directory_listing.h"
#include "store/fs/tree.h"

namespace heimdall {

// Everything of a directory store that only reads. Thread-safe.
class DirectoryReader final : public ObjectReader {
 public:
  DirectoryReader(Tree tree, AgeFrom age, IsKept is_kept, const Clock& clock)
      : tree_(std::move(tree)), age_(age), is_kept_(std::move(is_kept)), clock_(clock) {}

  const Tree& tree() const { return tree_; }
  AgeFrom age() const { return age_; }

  Result<std::string> identity() override;
  Result<Timestamp> server_time() override { return clock_.now(); }
  Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) override;
  ListingLimits listing_limits() override;
  Result<std::unique_ptr<Listing>> list(const ListRange& range) override;
  Result<ObjectMeta> head(const ObjectKey& key) override;
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override;
  // Of the file system that the root is on.
  Result<std::optional<StoreCapacity>> capacity() override;

 private:
  Tree tree_;
  AgeFrom age_;
  IsKept is_kept_;
  const Clock& clock_;
};

}  // namespace heimdall
