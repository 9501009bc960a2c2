#include "store/s3/s3_listing.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "store/s3/list_page.h"

namespace heimdall {

namespace {

// 1000 keys of 1024 bytes, each encoded in three, and as much again for the rest.
constexpr std::size_t kMaxBytesPerKey = std::size_t{8} << 10;
constexpr std::size_t kLeastPageBytes = std::size_t{1} << 20;

constexpr std::size_t kHarmlessSiblings = 50;
constexpr std::size_t kManySiblings = 1'000'000;
constexpr unsigned kFlatPages = 10;  // in one directory: it is a large one

// All of is_reserved_key() lies between these.
constexpr std::string_view kFirstReserved = ".heimdall-";
constexpr std::string_view kLastReserved = ".heimdall-~";

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string askable_prefix(std::string_view prefix) {
  // A cut character at the end is the one way in which a prefix of a UTF-8 key is none itself.
  while (!is_utf8(prefix)) prefix.remove_suffix(1);
  const auto slash = prefix.find_last_of("/\\");
  const std::string_view last = trimmed(slash == std::string_view::npos ? prefix : prefix.substr(slash + 1));
  if (last == "." || last == "..") prefix = slash == std::string_view::npos ? std::string_view() : prefix.substr(0, slash + 1);
  return std::string(prefix);
}

S3Call list_call(const S3Endpoint& endpoint, std::string prefix, std::size_t max_keys) {
  S3Call call;
  // Without encoding-type=url, keys with control characters would make a document that is no XML.
  call.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", std::to_string(max_keys)}};
  if (!prefix.empty()) call.query.emplace_back("prefix", std::move(prefix));
  call.intent = {format("list bucket '{}'", endpoint.bucket()), "s3:ListBucket", "the bucket"};
  call.max_answer_bytes = std::max(kLeastPageBytes, max_keys * kMaxBytesPerKey);
  return call;
}

// Control characters are refused in markers, and so is what is no UTF-8.
std::string askable_marker(std::string_view key) {
  const auto control = std::ranges::find_if(key, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  key = key.substr(0, static_cast<std::size_t>(control - key.begin()));
  while (!is_utf8(key)) key.remove_suffix(1);
  return std::string(key);
}

namespace {

std::string start_of(const S3Profile& profile, const ListRange& range, const std::string& asked_prefix) {
  if (!profile.starts_anywhere) return {};
  std::string marker = askable_marker(range.after);
  // What lies before the prefix leads to its beginning by itself.
  return marker > asked_prefix ? marker : std::string();
}

}  // namespace

S3Listing::S3Listing(S3Session& session, const S3Profile& profile, ListRange range)
    : session_(session), range_(std::move(range)), page_keys_(profile.page_keys),
      asked_prefix_(askable_prefix(range_.narrowed.empty() ? range_.prefix : range_.narrowed)),
      start_after_(start_of(profile, range_, asked_prefix_)), previous_(start_after_), by_key_(profile.pages_by_key) {
  is_done_ = !range_.until.empty() && range_.after >= range_.until;
}

S3Call S3Listing::call(const std::string& token) const {
  S3Call call = list_call(session_.endpoint(), asked_prefix_, page_keys_);
  if (token.empty() && !start_after_.empty()) call.query.emplace_back("start-after", start_after_);
  if (!token.empty()) call.query.emplace_back("continuation-token", token);
  return call;
}

Result<PageStatus> S3Listing::next(ObjectPage& page) {
  page.clear();
  if (failure_) return *failure_;
  if (is_done_) return PageStatus::last;
  auto status = fetch(page);
  if (!status) {
    page.clear();
    failure_ = status.error();
    pending_.reset();
  }
  return status;
}

Result<PageStatus> S3Listing::fetch(ObjectPage& page) {
  for (int attempt = 1;; ++attempt) {
    if (!pending_) ask_for_next();
    auto answer = session_.finish(*std::exchange(pending_, std::nullopt));
    if (!answer) return std::move(answer).error();
    auto head = read_list_page(std::move(answer->body), {.prefix = asked_prefix_, .previous = previous_}, page);
    if (head && !head->next_token.empty() && head->next_token == token_) {
      head = Error{ErrorCode::corrupt, format("the list does not get on: its token is the same as before '{}'", printable(previous_))};
    }
    if (head) {
      const bool is_past_end = head->last_key && is_behind(*head->last_key);
      if (head->next_token.empty() && came_by_key_) {
        // Only the token that led here can tell whether this is the end.
        by_key_ = false;
        continue;
      }
      note_directories(page);
      token_ = std::move(head->next_token);
      if (head->last_key) previous_ = *std::move(head->last_key);
      is_done_ = token_.empty() || is_past_end;
      if (!is_done_) ask_for_next();
      keep_range(page);
      return is_done_ ? PageStatus::last : PageStatus::more;
    }
    page.clear();
    if (!session_.wait_for_better(head.error(), attempt, "list")) {
      return with_context(std::move(head).error(), format("cannot list bucket '{}' at {}", session_.endpoint().bucket(),
                                                          session_.endpoint().authority()));
    }
  }
}

void S3Listing::ask_for_next() {
  std::size_t siblings = 0;
  for (const Directory& directory : directories_) siblings += directory.siblings;
  came_by_key_ = by_key_ && !token_.empty() && siblings <= kHarmlessSiblings && askable_marker(previous_) == previous_;
  if (!came_by_key_) {
    pending_ = session_.start(call(token_));
    return;
  }
  S3Call next = list_call(session_.endpoint(), asked_prefix_, page_keys_);
  next.query.emplace_back("start-after", previous_);
  pending_ = session_.start(std::move(next));
}

// previous_ is still that of the page before.
void S3Listing::note_directories(const ObjectPage& page) {
  if (!by_key_) return;
  if (page.empty()) {
    by_key_ = false;  // it names no key to go on behind
    return;
  }
  const std::string_view last = page[page.size() - 1].key;
  std::vector<Directory> directories;
  for (std::size_t slash = last.find('/'); slash != std::string_view::npos; slash = last.find('/', slash + 1)) {
    const auto known = std::ranges::find(directories_, slash, &Directory::end);
    const bool was_in_it = known != directories_.end() && previous_.starts_with(last.substr(0, slash + 1));
    directories.push_back({slash, was_in_it ? known->siblings : siblings_before(last.substr(0, slash), page)});
  }
  directories_ = std::move(directories);
  const std::string_view innermost = last.substr(0, last.rfind('/') + 1);
  flat_pages_ = page[0].key.starts_with(innermost) ? flat_pages_ + 1 : 0;
  // What is read anew for each page grows with the square of the directory's size; a walk behind a token does not.
  if (flat_pages_ >= kFlatPages) by_key_ = false;
}

// How many keys k of the listing have directory < k < directory + "/". They stand right before the directory's own.
std::size_t S3Listing::siblings_before(std::string_view directory, const ObjectPage& page) const {
  const auto is_own = [&](std::string_view key) { return key.size() > directory.size() && key.starts_with(directory) && key[directory.size()] == '/'; };
  std::size_t at = page.size();
  while (at > 0 && is_own(page[at - 1].key)) --at;
  std::size_t siblings = 0;
  for (; at > 0; --at, ++siblings) {
    if (!page[at - 1].key.starts_with(directory)) return siblings;
  }
  // The page begins with them or with the directory's own: more may have come before.
  return previous_.starts_with(directory) ? kManySiblings : siblings;
}

// The keys rise, so a page whose ends are inside is inside, but for our own keys.
void S3Listing::keep_range(ObjectPage& page) const {
  if (page.empty()) return;
  const std::string_view first = page[0].key, last = page[page.size() - 1].key;
  const bool is_inside = range_.holds(first) && range_.holds(last);
  const bool may_be_reserved = first <= kLastReserved && last >= kFirstReserved;
  if (is_inside && !may_be_reserved) return;
  page.keep_if([&](const ObjectView& object) {
    return range_.holds(object.key) && !is_reserved_key(object.key);
  });
}

bool S3Listing::is_behind(std::string_view key) const {
  return range_.ends_before(key) || (key > range_.prefix && !key.starts_with(range_.prefix));
}

}  // namespace heimdall
