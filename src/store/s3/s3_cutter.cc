#include "store/s3/s3_cutter.h"

#include <algorithm>

#include "base/text.h"
#include "store/s3/list_page.h"
#include "store/s3/s3_listing.h"

namespace heimdall {

namespace {

constexpr std::uint64_t kPageKeys = 1000;
constexpr std::uint64_t kRequestsShare = 50;   // one request in so many may go into looking for cuts
constexpr std::size_t kFlat = 500;             // objects on one page of names that make a directory a flat one
constexpr std::size_t kEnoughSamples = 8;      // fewer in a range say nothing about where its keys lie
constexpr int kDeepest = 8;                    // directories inside of directories that are looked into
constexpr unsigned kPartsOfRest = 8;           // what is left of a listing is looked at this finely before half of it is taken

bool is_directory(std::string_view name) { return name.ends_with('/'); }

}  // namespace

Result<std::vector<ListRange>> S3Cutter::cut() {
  const std::uint64_t worthwhile = std::max<std::uint64_t>(1, profile_.limits.worthwhile);
  // Who asks for half of a rest has found that worthwhile.
  const bool is_rest = !range_.after.empty() && hints_.wanted == 2;
  const std::size_t parts = is_rest ? 2 : std::min<std::size_t>(hints_.wanted, hints_.expected_keys / worthwhile);
  if (parts <= 1) return std::vector<ListRange>{range_};
  if (!profile_.starts_anywhere) {
    most_ = 2.0 / static_cast<double>(is_rest ? kPartsOfRest : parts);
    pages_left_ = 2 + hints_.expected_keys / kPageKeys / kRequestsShare;
    return cut_by_directories();
  }
  std::vector<ListRange> cut = cut_at_sample(range_, parts, hints_.sample);
  return cut.size() > 1 || !is_rest ? cut : cut_by_probes();
}

std::vector<ListRange> S3Cutter::cut_by_probes() {
  for (std::string& cut : likely_cuts(range_)) {
    const auto found = goes_on_behind(cut);
    if (!found) break;  // no cut is no failure: whoever lists the range will meet the trouble
    if (!*found) continue;
    return {{range_.prefix, range_.after, cut}, {range_.prefix, cut, range_.until}};
  }
  return {range_};
}

Result<bool> S3Cutter::goes_on_behind(const std::string& cut) {
  S3Call call = list_call(session_.endpoint(), askable_prefix(range_.prefix), 1);
  call.query.emplace_back("start-after", cut);
  TRY_ASSIGN(HttpResponse response, session_.read(std::move(call)));
  ObjectPage page;
  TRY_ASSIGN(const ListHead head, read_list_page(std::move(response.body), {.prefix = askable_prefix(range_.prefix), .previous = cut}, page));
  return head.last_key && (range_.until.empty() || *head.last_key <= range_.until);
}

Result<std::vector<ListRange>> S3Cutter::cut_by_directories() {
  const std::string& whole = range_.narrowed.empty() ? range_.prefix : range_.narrowed;
  // What cannot be asked for as a prefix is not cut: its names would be those of more than the range.
  if (askable_prefix(whole) != whole) return std::vector<ListRange>{range_};
  TRY_ASSIGN(const auto stems, stems_below(whole, 0));
  if (!stems) return std::vector<ListRange>{range_};
  const bool is_rest = !range_.after.empty() && hints_.wanted == 2;
  return is_rest ? cut_off_half(range_, *stems) : cut_at_stems(range_, *stems);
}

// nullopt: it is better listed as one.
Result<std::optional<std::vector<Stem>>> S3Cutter::stems_below(const std::string& prefix, int depth) {
  TRY_ASSIGN(auto names, names_below(prefix));
  if (!names) return std::optional<std::vector<Stem>>();
  std::vector<Stem> stems;
  for (Stem& stem : join_names(*names, most_)) {
    std::optional<std::vector<Stem>> below;
    if (stem.weight > most_ && is_directory(stem.text) && stem.text != prefix && depth < kDeepest) {
      TRY_ASSIGN(below, stems_below(stem.text, depth + 1));
    }
    if (below && !below->empty()) std::ranges::move(*below, std::back_inserter(stems));
    else stems.push_back(std::move(stem));
  }
  return std::optional(std::move(stems));
}

// The names right below, with their weights. nullopt where they are too many, or mostly objects.
Result<std::optional<std::vector<Stem>>> S3Cutter::names_below(const std::string& prefix) {
  std::vector<std::string> names;
  ListRules rules{.prefix = prefix, .grouping = ListRules::Grouping::by_delimiter};
  ObjectPage page;
  std::string token;
  do {
    if (pages_left_ == 0) return std::optional<std::vector<Stem>>();
    --pages_left_;
    S3Call call = list_call(session_.endpoint(), prefix, kPageKeys);
    call.query.emplace_back("delimiter", "/");
    if (!token.empty()) call.query.emplace_back("continuation-token", token);
    TRY_ASSIGN(ListHead head, session_.read_as<ListHead>(call, [&](std::string body) { return read_list_page(std::move(body), rules, page); }));
    const bool gets_on = head.next_token.empty() || head.next_token != token;
    if (!gets_on || (head.keys >= kFlat && !head.next_token.empty())) return std::optional<std::vector<Stem>>();
    for (std::size_t i = 0; i < page.size(); ++i) names.emplace_back(page[i].key);
    std::ranges::move(head.common_prefixes, std::back_inserter(names));
    // Keys and groups share one order: what comes is greater than both.
    if (!names.empty()) rules.previous = *std::ranges::max_element(names);
    token = std::move(head.next_token);
  } while (!token.empty());
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<Stem> stems;
  for (std::string& name : names) {
    // Bounds part keys of UTF-8 only; and the marker of the directory itself is none of what lies below it.
    if (!is_utf8(name)) return std::optional<std::vector<Stem>>();
    const double weight = name == prefix ? 0 : weight_of(name, names.size());
    stems.push_back({std::move(name), weight});
  }
  return std::optional(std::move(stems));
}

// By the sample, as far as there is one; an object by itself weighs nothing.
double S3Cutter::weight_of(std::string_view name, std::size_t names) const {
  const auto below = [&](std::string_view prefix) {
    const auto first = std::lower_bound(hints_.sample.begin(), hints_.sample.end(), prefix);
    const auto last = std::partition_point(first, hints_.sample.end(), [&](const std::string& key) { return key.starts_with(prefix); });
    return static_cast<double>(last - first);
  };
  if (!is_directory(name)) return 0;
  const double all = below(range_.narrowed.empty() ? range_.prefix : range_.narrowed);
  const double evenly = 1.0 / static_cast<double>(names);
  if (all < static_cast<double>(kEnoughSamples)) return evenly;
  // References are not objects: what none names may be large all the same.
  return 0.9 * below(name) / all + 0.1 * evenly;
}

}  // namespace heimdall
