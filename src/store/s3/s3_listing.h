#pragma once

#include <optional>
#include <string>

#include "ports/object_store.h"
#include "store/s3/s3_profile.h"
#include "store/s3/s3_session.h"

namespace heimdall {

// One range, page by page, by the server's tokens. It begins with `start-after` where the profile says that this leads to all keys behind it; elsewhere
// at the beginning of the prefix (of what the range was narrowed to), and keys up to `after` are skipped here.
//
// That costs pages where `after` is far in, and is the one way that is right everywhere: MinIO silently ends a list early whose `start-after` has a
// '/' behind the prefix while over some 1,000 siblings `D-...` stand beside `D/`, and releases of 2024-07 to 2025-09 lose a key behind a
// `start-after` that does not exist. The tokens lose nothing.
//
// The next page is asked for before the objects of this one are looked at.
class S3Listing final : public Listing {
 public:
  S3Listing(S3Session& session, const S3Profile& profile, ListRange range);
  Result<PageStatus> next(ObjectPage& page) override;

 private:
  S3Call call(const std::string& token) const;
  Result<PageStatus> fetch(ObjectPage& page);
  // False: all keys that come later are outside of the range.
  bool take(const ListPage& listed, ObjectPage& page, Result<void>& visited);
  bool is_behind(std::string_view key) const;

  S3Session& session_;
  const ListRange range_;
  const unsigned page_keys_;
  const std::string asked_prefix_;
  const std::string start_after_;  // empty: at the beginning of the prefix
  std::string previous_;  // the last key that was listed, inside of the range or not
  std::string token_;     // of the page that comes; empty: the first one
  std::optional<S3Session::Pending> pending_;
  std::optional<Error> failure_;
  bool is_done_ = false;
};

// The longest beginning of `prefix` that any server takes as one: UTF-8, and without a last segment "." or "..", which MinIO refuses
// although it may be the beginning of ".hidden".
std::string askable_prefix(std::string_view prefix);

// The longest beginning of `key` that any server takes as start-after. It is not greater than `key`, so a list behind it may only have more.
std::string askable_marker(std::string_view key);

S3Call list_call(const S3Endpoint& endpoint, std::string prefix, std::size_t max_keys);

}  // namespace heimdall
