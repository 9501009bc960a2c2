#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ports/object_store.h"
#include "store/s3/range_cut.h"
#include "store/s3/s3_profile.h"
#include "store/s3/s3_session.h"

namespace heimdall {

// One call of ObjectReader::split() on S3.
//
// Where lists start anywhere, ranges are cut at the sample; where that shows nothing, a few lists of one key look for where the rest may lie.
// Elsewhere the names in directories are listed (delimiter=/), and each part is what begins with some of them: following the server's tokens from the
// beginning of a prefix loses nothing anywhere. A directory of many objects is never cut there: each part would read all its names again.
class S3Cutter {
 public:
  S3Cutter(S3Session& session, const S3Profile& profile, const ListRange& range, const SplitHints& hints)
      : session_(session), profile_(profile), range_(range), hints_(hints) {}
  Result<std::vector<ListRange>> cut();

 private:
  std::vector<ListRange> cut_by_probes();
  Result<std::vector<ListRange>> cut_by_directories();
  Result<std::optional<std::vector<Stem>>> stems_below(const std::string& prefix, int depth);
  Result<std::optional<std::vector<Stem>>> names_below(const std::string& prefix);
  double weight_of(std::string_view name, std::size_t names) const;
  // Whether a list behind `cut` begins inside of the range.
  Result<bool> goes_on_behind(const std::string& cut);

  S3Session& session_;
  const S3Profile& profile_;
  const ListRange& range_;
  const SplitHints& hints_;
  double most_ = 1;                // weight of one part
  std::uint64_t pages_left_ = 0;   // requests that are worth it
};

}  // namespace heimdall
