#include "store/s3/s3_delete.h"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>

#include "base/format.h"
#include "base/text.h"
#include "store/s3/s3_inspect.h"

namespace heimdall {

namespace {

// A comparison holds for a moment only, and a request may wait for its connection: so it is looked at when the request leaves.
class ComparedGate final : public SendGate {
 public:
  // Sets `was_old` where it is closed for that reason alone.
  ComparedGate(const SendGate& verdict, const Clock& clock, BootTime oldest, std::atomic<bool>& was_old)
      : verdict_(verdict), clock_(clock), until_(oldest + S3Sightings::kFresh), was_old_(was_old) {}
  bool is_open() const override {
    if (!verdict_.is_open()) return false;
    const bool is_old = clock_.boot_now() >= until_;
    if (is_old) was_old_ = true;
    return !is_old;
  }

 private:
  const SendGate& verdict_;
  const Clock& clock_;
  const BootTime until_;
  std::atomic<bool>& was_old_;
};

}  // namespace

S3Removal::S3Removal(S3Session& session, S3Sightings& sightings, std::span<const ObjectMeta> objects, const SendGate& gate,
                     FindConditions find_conditions)
    : session_(session), sightings_(sightings), objects_(objects), gate_(gate), find_conditions_(std::move(find_conditions)),
      outcomes_(objects.size()), compared_(objects.size()), went_out_(objects.size(), 0), pending_(objects.size()) {
  std::iota(pending_.begin(), pending_.end(), std::size_t{0});
}

std::vector<RemoveOutcome> S3Removal::run() {
  for (int attempt = 1; !pending_.empty(); ++attempt) {
    if (gate_.is_open()) compare();
    if (gate_.is_open() && !pending_.empty() && !conditions_) {
      conditions_ = find_conditions_();
      compare();  // only what has become old meanwhile
    }
    if (pending_.empty()) break;
    if (!gate_.is_open()) {
      look_at_what_went_out();
      settle_rest(Kind::not_sent);
      break;
    }
    not_now_.reset();
    comparison_was_old_ = false;
    const std::size_t before = pending_.size();
    send();
    if (pending_.empty()) break;
    if (!not_now_ && pending_.size() == before) {
      not_now_ = Error{ErrorCode::unavailable, format("nothing was sent, because no connection was there within {}s of the comparison", S3Sightings::kFresh.count())};
    }
    if (!not_now_) {  // the next ones of many that go one by one
      --attempt;
      continue;
    }
    const auto wait = session_.wait_before_change(*not_now_, attempt, "delete");
    if (wait) session_.clock().sleep_for(*wait, session_.stop());
    if (wait && !session_.stop().stop_requested()) continue;
    look_at_what_went_out();
    settle_rest(Kind::failed, not_now_->message);
  }
  std::vector<RemoveOutcome> result;
  result.reserve(outcomes_.size());
  for (auto& outcome : outcomes_) result.push_back(outcome ? *std::move(outcome) : RemoveOutcome{});
  return result;
}

void S3Removal::settle_rest(Kind kind, const std::string& message) {
  for (const std::size_t i : pending_) settle(i, kind, message);
  pending_.clear();
}

void S3Removal::drop_settled() {
  std::erase_if(pending_, [&](std::size_t i) { return outcomes_[i].has_value(); });
}

// Invariant 5: key, ETag, size and date as planned, a moment before the request leaves.
void S3Removal::compare() {
  const BootTime since = session_.clock().boot_now();
  Indices asked;
  std::vector<ObjectKey> keys;
  for (const std::size_t i : pending_) {
    if (const auto seen = sightings_.saw(objects_[i], since)) {
      compared_[i] = *seen;
      continue;
    }
    asked.push_back(i);
    keys.push_back(objects_[i].key);
  }
  const auto found = S3Inspection(session_).inspect(keys);
  for (std::size_t n = 0; n < asked.size(); ++n) compare_one(asked[n], found[n], since);
  drop_settled();
}

void S3Removal::compare_one(std::size_t i, const Result<ObjectMeta>& found, BootTime since) {
  if (!found && found.error().code == ErrorCode::not_found) {
    settle(i, went_out_[i] != 0 ? Kind::deleted : Kind::already_gone);
  } else if (!found && found.error().code == ErrorCode::cancelled) {
    settle(i, Kind::not_sent);
  } else if (!found) {
    settle(i, Kind::failed, format("nothing was sent, because it could not be compared: {}", found.error().message));
  } else if (*found != objects_[i]) {
    settle(i, Kind::changed, "another object is there now");
  } else if (!found->last_modified) {
    settle(i, Kind::failed, "nothing was sent, because its date is not known");
  } else {
    compared_[i] = since;
    sightings_.add(*found, since);
  }
}

bool S3Removal::goes_single(std::size_t i) const {
  const std::string& key = objects_[i].key.bytes();
  const bool only_single_is_safe = conditions_->single && !conditions_->multi;
  // HEAD proved how the server reads such slashes in a path, not in a body.
  return only_single_is_safe || !xml_can_carry(key) || key.front() == '/' || key.find("//") != std::string::npos;
}

void S3Removal::send() {
  Indices batch, singles;
  // Where the server does not compare for us, those that go one by one would leave long after they were looked at: a few at a time.
  const std::size_t most_singles = conditions_->single ? objects_.size() : std::max(1U, session_.options().max_in_flight);
  for (const std::size_t i : pending_) {
    const bool is_single = goes_single(i);
    if (is_single && singles.size() == most_singles) continue;
    sightings_.forget(objects_[i].key);
    (is_single ? singles : batch).push_back(i);
  }
  const auto gate_for = [&](const Indices& some) {
    BootTime oldest = session_.clock().boot_now();
    for (const std::size_t i : some) oldest = std::min(oldest, compared_[i]);
    return ComparedGate(gate_, session_.clock(), oldest, comparison_was_old_);
  };
  if (!batch.empty()) send_multi(batch, gate_for(batch));
  send_singles(singles, gate_for(singles));
  drop_settled();
}

void S3Removal::send_multi(const Indices& batch, const SendGate& gate) {
  std::vector<DeleteItem> items;
  for (const std::size_t i : batch) items.push_back({objects_[i].key.bytes(), conditions_->multi ? objects_[i].etag : std::string_view()});
  const auto response = session_.change(multi_delete_call(session_.endpoint(), items), gate);
  if (!response) {
    if (response.error().code == ErrorCode::not_found) return look_why(batch, response.error().message);
    for (const std::size_t i : batch) take_error(i, response.error());
    return;
  }
  const auto answer = parse_delete_result(response->body);
  if (answer) return take_answer(batch, *answer);
  // An error inside a success.
  if (const auto problem = parse_problem(response->body)) {
    for (const std::size_t i : batch) take_refusal(i, *problem);
    return;
  }
  for (const std::size_t i : batch) settle(i, Kind::in_doubt, answer.error().message);
}

// By key, never by place: MinIO answers the second of two equal keys with an empty one. What is named both ways, or not at all, is in doubt.
void S3Removal::take_answer(const Indices& batch, const DeleteAnswer& answer) {
  std::map<std::string_view, const S3Problem*> said;  // nullptr: deleted
  std::vector<std::string_view> contradicted;
  for (const std::string& key : answer.deleted) said.emplace(key, nullptr);
  for (const auto& refused : answer.refused) {
    const auto [place, is_new] = said.emplace(refused.key, &refused.problem);
    if (!is_new && place->second == nullptr) contradicted.push_back(refused.key);
  }
  for (const std::size_t i : batch) {
    const std::string& key = objects_[i].key.bytes();
    const auto found = said.find(key);
    if (found == said.end()) settle(i, Kind::in_doubt, "the answer does not name it");
    else if (std::find(contradicted.begin(), contradicted.end(), key) != contradicted.end()) {
      settle(i, Kind::in_doubt, "the answer calls it both deleted and refused");
    } else if (found->second == nullptr) settle(i, Kind::deleted);
    else take_refusal(i, *found->second);
  }
}

void S3Removal::take_refusal(std::size_t i, const S3Problem& problem) {
  const std::string& code = problem.code;
  const std::string message = format("the server refuses to delete it: {} ({})", printable(problem.message), printable(code));
  if (is_throttling_code(code)) {
    went_out_[i] = 1;
    session_.note_push_back();
    not_now_ = Error{ErrorCode::throttled, message};
  } else if (code == "NoSuchKey" || code == "PreconditionFailed" || code == "ConditionalRequestConflict") {
    look_why({i}, message);
  } else if (code == "AccessDenied" || code == "InvalidRequest" || code == "MethodNotAllowed" || code == "InvalidObjectState") {
    settle(i, Kind::failed, message);
  } else {
    settle(i, Kind::in_doubt, message);
  }
}

void S3Removal::send_singles(const Indices& batch, const SendGate& gate) {
  std::deque<S3Session::Pending> under_way;
  const std::size_t most = std::max(1U, session_.options().max_in_flight);
  std::size_t next = 0;
  for (const std::size_t i : batch) {
    for (; next < batch.size() && under_way.size() < most; ++next) {
      const ObjectMeta& object = objects_[batch[next]];
      under_way.push_back(session_.start_change(
          delete_call(session_.endpoint(), object.key.bytes(), if_etag(batch[next], conditions_->single)), gate));
    }
    const auto answer = session_.finish_change(std::move(under_way.front()));
    under_way.pop_front();
    take_single(i, answer);
  }
}

void S3Removal::take_single(std::size_t i, const Result<HttpResponse>& answer) {
  if (!answer) {
    take_error(i, answer.error());
  } else if (answer->status == 204 || (answer->status == 200 && answer->body.empty())) {
    settle(i, Kind::deleted);
  } else {
    settle(i, Kind::in_doubt, format("the answer {} is none that an S3 server gives to a delete", answer->status));
  }
}

void S3Removal::take_error(std::size_t i, const Error& error) {
  switch (error.code) {
    case ErrorCode::cancelled:
      if (!comparison_was_old_) settle(i, Kind::not_sent);
      break;
    case ErrorCode::in_doubt: settle(i, Kind::in_doubt, error.message); break;
    case ErrorCode::not_found:
    case ErrorCode::failed_precondition: look_why({i}, error.message); break;
    case ErrorCode::throttled:
    case ErrorCode::unavailable:
      if (error.code == ErrorCode::throttled) went_out_[i] = 1;
      not_now_ = error;
      break;
    default: settle(i, Kind::failed, error.hint.empty() ? error.message : error.message + "; " + error.hint);
  }
}

// Invariant 6: it was there a moment before, and a request for it went out. So what is absent was deleted by that, whatever was answered; an error is never read as
// absence, nor as presence.
void S3Removal::look_why(const Indices& refused, const std::string& refusal) {
  std::vector<ObjectKey> keys;
  for (const std::size_t i : refused) keys.push_back(objects_[i].key);
  const auto found = S3Inspection(session_).inspect(keys);
  for (std::size_t n = 0; n < refused.size(); ++n) {
    const std::size_t i = refused[n];
    if (!found[n] && found[n].error().code == ErrorCode::not_found) settle(i, Kind::deleted);
    else if (!found[n]) settle(i, Kind::in_doubt, refusal);
    else if (*found[n] != objects_[i]) settle(i, Kind::changed, "another object is there now");
    else settle(i, Kind::failed, refusal);
  }
}

// A server, or a proxy before it, may have done what it answered with "not now" to. What is there as planned stays pending.
void S3Removal::look_at_what_went_out() {
  Indices went_out;
  for (const std::size_t i : pending_) {
    if (went_out_[i] != 0) went_out.push_back(i);
  }
  if (went_out.empty()) return;
  look_why(went_out, not_now_ ? not_now_->message : "the server answered with \"not now\"");
  for (const std::size_t i : went_out) {
    if (outcomes_[i]->kind == Kind::failed) outcomes_[i].reset();
  }
  drop_settled();
}

}  // namespace heimdall
