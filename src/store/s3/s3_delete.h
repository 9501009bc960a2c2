#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ports/object_store.h"
#include "store/s3/s3_probe.h"
#include "store/s3/s3_session.h"
#include "store/s3/s3_sightings.h"
#include "store/s3/s3_xml.h"

namespace heimdall {

// One call of ObjectStore::remove(): compare, send, and again for what the server said "not now" to.
//
// Multi-deletes, as long as the server was not seen to honour If-Match on single deletes only; single ones for keys that XML cannot carry.
// Whatever left without a clear answer is in doubt and never sent again. Before a repeat each object is compared anew.
class S3Removal {
 public:
  // Asked once there is something to send.
  using FindConditions = std::function<S3Conditions()>;

  S3Removal(S3Session& session, S3Sightings& sightings, std::span<const ObjectMeta> objects, const SendGate& gate,
            FindConditions find_conditions);
  std::vector<RemoveOutcome> run();

 private:
  using Kind = RemoveOutcome::Kind;
  using Indices = std::vector<std::size_t>;

  void compare();
  void compare_one(std::size_t i, const Result<ObjectMeta>& found, BootTime since);
  void send();
  void send_multi(const Indices& batch, const SendGate& gate);
  void take_answer(const Indices& batch, const DeleteAnswer& answer);
  void take_refusal(std::size_t i, const S3Problem& problem);
  void send_singles(const Indices& batch, const SendGate& gate);
  void take_single(std::size_t i, const Result<HttpResponse>& answer);
  // What an error of finish_change() means for an object: an outcome, or none where it may be sent again.
  void take_error(std::size_t i, const Error& error);
  void look_why(const Indices& refused, const std::string& refusal);
  void look_at_what_went_out();
  bool goes_single(std::size_t i) const;
  std::string if_etag(std::size_t i, bool is_honoured) const { return is_honoured ? objects_[i].etag : std::string(); }
  void settle(std::size_t i, Kind kind, std::string message = "") { outcomes_[i] = RemoveOutcome{kind, std::move(message)}; }
  void settle_rest(Kind kind, const std::string& message = "");
  void drop_settled();

  S3Session& session_;
  S3Sightings& sightings_;
  std::span<const ObjectMeta> objects_;
  const SendGate& gate_;
  FindConditions find_conditions_;
  std::optional<S3Conditions> conditions_;
  std::vector<std::optional<RemoveOutcome>> outcomes_;
  std::vector<BootTime> compared_;  // when the look began that found it as planned
  std::vector<char> went_out_;    // a request for it left, and was answered with "not now"
  Indices pending_;               // without an outcome, in the order of objects_
  std::optional<Error> not_now_;  // why the last round has to be repeated
  std::atomic<bool> comparison_was_old_{false};  // for a request of this round: it was not sent
};

}  // namespace heimdall
