#include "pipeline/tree_links.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/text.h"
#include "pipeline/dangling.h"

namespace heimdall {

namespace {

const TreeLink* find_link(std::span<const TreeLink> links, std::string_view key) {
  const auto at = std::ranges::lower_bound(links, key, {}, [](const TreeLink& link) { return std::string_view(link.key); });
  return at != links.end() && at->key == key ? &*at : nullptr;
}

// The link that the key is or passes through; the first one on its way.
const TreeLink* link_on_way(std::span<const TreeLink> links, std::string_view key) {
  for (std::size_t slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1)) {
    if (const TreeLink* link = find_link(links, key.substr(0, slash))) return link;
  }
  return find_link(links, key);
}

// The first link in the folder that leads out of it: what is in the folder is kept.
const TreeLink* link_out_of(std::span<const TreeLink> links, std::string_view folder) {
  const auto at = std::ranges::find_if(links, [&](const TreeLink& link) { return link.key.starts_with(folder) && !link.place.starts_with(folder); });
  return at != links.end() ? &*at : nullptr;
}

const TreeLink* used_link(std::span<const TreeLink> links, std::string_view key, KeyForm as) {
  const TreeLink* on_way = link_on_way(links, key);
  return on_way != nullptr || as != KeyForm::prefix ? on_way : link_out_of(links, key);
}

std::string shown(const TreeLink& link) {
  return format("the symbolic link '{}', which leads to '{}' in the same tree", printable(link.key), link.place.empty() ? "." : printable(link.place));
}

Error refused(const TreeLink& link, std::string message, std::string_view remedy) {
  const std::string pattern = printable(link.place) + (link.place.ends_with('/') ? "**" : "");
  return {ErrorCode::failed_precondition, std::move(message),
          format("remove the link, {}{}; nothing of this bucket is judged before", remedy,
                 link.place.empty() ? "" : format(", or keep all that it leads to: protect: [\"{}\"]", pattern))};
}

// A listing lists nothing at a link or below it, so what is named by one was not hit. Only a folder around a link may have been. Whether companions were hit is
// not counted.
bool may_use_links(const Findings& findings, std::size_t source, const SourcePolicy& policy, const ReferenceSnapshot& snapshot) {
  return findings.source_hits[source] < findings.sources[source].distinct_keys || !policy.mapping.companions.empty() ||
         std::ranges::any_of(findings.links, [&](const TreeLink& link) { return snapshot.source_contains(source, link.key); });
}

Result<void> check_source(std::span<const TreeLink> links, const SourceBinding& binding, std::stop_token stop) {
  const auto& policy = *binding.policy;
  if (!binding.source->can_read_again()) {
    return refused(links.front(), format("references '{}' cannot be read a second time, to see whether a row goes through {}: what is listed there would be taken for orphaned",
                                         policy.name, shown(links.front())),
                   "write the list to a file and name that");
  }
  const auto check_key = [&](const KeyReference& reference, std::string_view key, std::string_view whose) -> Result<void> {
    const TreeLink* link = used_link(links, key, policy.mapping.as);
    if (link == nullptr) return {};
    return refused(*link, format("{}'{}' goes through {}: what is listed there would be taken for orphaned", whose, elide_middle(printable(reference.value), 200), shown(*link)),
                   "name objects by their path in the rows");
  };
  std::string companion;
  const auto visit = [&](const KeyReference& reference) -> Result<void> {
    TRY(check_key(reference, reference.key, ""));
    for (const CompanionTemplate& form : policy.mapping.companions) {
      form.expand_into(reference.key, companion);
      TRY(check_key(reference, companion, format("the companion '{}' of ", form.text())));
    }
    return {};
  };
  return visit_references(binding, visit, std::move(stop));
}

}  // namespace

Result<void> check_links(const Findings& findings, std::span<const SourceBinding> sources, const ReferenceSnapshot& snapshot, std::stop_token stop) {
  if (findings.links.empty()) return {};
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (may_use_links(findings, i, *sources[i].policy, snapshot)) TRY(check_source(findings.links, sources[i], stop));
  }
  return {};
}

}  // namespace heimdall
