#pragma once

#include <span>
#include <string>
#include <vector>

#include "ports/object_store.h"
#include "store/s3/s3_session.h"
#include "store/s3/s3_xml.h"

namespace heimdall {

// Where this server was seen to refuse a delete whose ETag is wrong, and to take one whose ETag is right. MinIO does nowhere,
// versitygw 1.8 for single deletes, AWS in both.
struct S3Conditions {
  bool single = false;
  bool multi = false;
};

// Finds out what a server does with deletes, on an object of its own below ".heimdall-storage/" which is removed at once.
class S3Probe {
 public:
  S3Probe(S3Session& session, const SendGate& gate) : session_(session), gate_(gate) {}

  // A delete of a key that does not exist. permission_denied says who may not and what to grant; false: it cannot be asked here
  // without a trace, because a delete would leave a marker.
  Result<bool> may_delete();

  // What is not seen to be honoured is not: a denied PUT, a closed gate, a failure in between. On a bucket with versions nothing is
  // tried unless `versions` says so: deletes can be undone there, and each try leaves a version, which is removed only if that is allowed.
  enum class Versions { leave_alone, try_anyway };
  S3Conditions find_conditions(Versions versions);
  // Why find_conditions() could not see it; empty if it could.
  const std::string& not_told() const { return not_told_; }

 private:
  StoreFacts::Versioning versioning();
  Result<std::string> put();  // the ETag
  Result<HttpResponse> remove_single(const std::string& if_etag);
  Result<bool> remove_multi(const std::string& if_etag);  // true: it says that it deleted
  bool honours_single();
  bool honours_multi();
  void note_version(const HttpResponse& answer);
  void remove_left_behind();
  Result<HttpResponse> remove_for_sure(const S3Call& call);
  void clean_up();

  S3Session& session_;
  const SendGate& gate_;
  std::string key_;
  std::vector<std::string> versions_;
  std::string not_told_;
};

// DELETE of one key; `if_etag` empty: whatever is there.
S3Call delete_call(const S3Endpoint& endpoint, const std::string& key, const std::string& if_etag);
// The multi-delete of keys that xml_can_carry().
S3Call multi_delete_call(const S3Endpoint& endpoint, std::span<const DeleteItem> items);

}  // namespace heimdall
