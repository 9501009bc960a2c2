#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
// Where the profile says so, the next page is asked for behind the last key, as long as few keys stand between a directory `D` of that key and `D/`:
// MinIO reads 60 more than it lists, so fewer take nothing away. Were it otherwise, a list would end early: an end is believed only when the token that
// led there says so, too. A directory of many objects, which MinIO would read anew for each page, is listed by tokens.
//
// The next page is asked for before the objects of this one are looked at.
class S3Listing final : public Listing {
 public:
  S3Listing(S3Session& session, const S3Profile& profile, ListRange range);
  Result<PageStatus> next(ObjectPage& page) override;

 private:
  S3Call call(const std::string& token) const;
  // The page behind the last one: by its key or by its token.
  void ask_for_next();
  // Which directories the last key of the page lies in, and what stands beside them.
  void note_directories(const ObjectPage& page);
  std::size_t siblings_before(std::string_view directory, const ObjectPage& page) const;
  Result<PageStatus> fetch(ObjectPage& page);
  void keep_range(ObjectPage& page) const;
  bool is_behind(std::string_view key) const;

  S3Session& session_;
  const ListRange range_;
  const unsigned page_keys_;
  const std::string asked_prefix_;
  const std::string start_after_;  // empty: at the beginning of the prefix
  std::string previous_;  // the last key that was listed, inside of the range or not
  std::string token_;     // of the page that comes; empty: the first one
  bool by_key_;           // go on behind previous_ instead, where it is safe
  // A directory that previous_ lies in: where its name ends in previous_, and how many keys were listed between it and its own.
  struct Directory {
    std::size_t end;
    std::size_t siblings;
  };
  std::vector<Directory> directories_;
  bool came_by_key_ = false;  // the page that is under way
  unsigned flat_pages_ = 0;   // in a row, each all in one directory
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
