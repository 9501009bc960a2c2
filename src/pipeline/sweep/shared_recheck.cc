#include "pipeline/sweep/shared_recheck.h"

namespace heimdall {

// An error or a refusal is everybody's.
std::vector<Result<RecheckVerdict>> SharedRecheck::check_all(Rechecker& rechecker, std::span<const Keys> batches) {
  std::vector<std::string_view> keys;
  for (const Keys& batch : batches) keys.insert(keys.end(), batch.begin(), batch.end());
  const Verdict verdict = rechecker.check(keys, std::stop_token());
  if (!verdict) return std::vector<Verdict>(batches.size(), verdict);
  std::vector<Verdict> answers;
  auto next = verdict->referenced.begin();
  for (const Keys& batch : batches) {
    const auto end = next + static_cast<std::ptrdiff_t>(batch.size());
    answers.push_back(RecheckVerdict{{next, end}, verdict->valid_until, verdict->refusal});
    next = end;
  }
  return answers;
}

}  // namespace heimdall
