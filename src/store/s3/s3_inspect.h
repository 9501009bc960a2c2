#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/object.h"
#include "store/s3/s3_session.h"

namespace heimdall {

// Looks at objects as they are now. HEAD and list tell the same of an object: size, ETag, date to the second; never a version.
class S3Inspection {
 public:
  explicit S3Inspection(S3Session& session) : session_(session) {}

  // One HEAD each, in parallel. not_found only on S3's own word (s3_error.h); keys that the server cannot have count as such.
  std::vector<Result<ObjectMeta>> head(std::span<const ObjectKey> keys);
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys);

 private:
  using Found = std::map<std::string, ObjectMeta, std::less<>>;
  S3Call head_call(const ObjectKey& key) const;
  Result<ObjectMeta> read_head(const ObjectKey& key, S3Session::Pending pending);
  Result<void> check_key(const ObjectKey& key);
  Result<bool> is_kept_as_it_is(const std::string& key);
  Result<bool> server_is_minio();
  void find_by_lists(std::span<const std::string> sorted, Found& found);

  S3Session& session_;
};

}  // namespace heimdall
