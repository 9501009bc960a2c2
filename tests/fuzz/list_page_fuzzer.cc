// Feeds any bytes to the readers of listed pages: the fast ones must say what the exact one says, and what is believed must hold.
// Input: one byte that chooses what was asked for, the body.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/text.h"
#include "store/s3/list_date.h"
#include "store/s3/list_page.h"
#include "store/s3/list_scanner.h"
#include "store/s3/s3_xml.h"

using namespace heimdall;

namespace {

void check(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

void check_scanner(std::string_view input) {
  std::string simd_body(input), plain_body(input), exact_body(input);
  const auto simd = scan_list_page(simd_body, ByteSearch::simd);
  const auto plain = scan_list_page(plain_body, ByteSearch::plain);
  check(simd == plain, "the twins agree");
  if (!simd) {
    check(simd_body == input, "a page that is left is left untouched");
    return;
  }
  const auto exact = parse_list_page(exact_body);
  check(exact.has_value(), "what is scanned can be parsed");
  check(*exact == *simd, "the fast reader says what the exact one says");
  for (const ListText::Object& object : exact->objects) {
    auto date = parse_rfc3339(object.date);
    if (date) date = std::chrono::floor<std::chrono::seconds>(*date);
    check(list_date(object.date) == date, "dates are read as the exact reader does");
  }
}

void check_page(std::string_view input, const ListRules& rules) {
  ObjectPage page;
  const auto head = read_list_page(std::string(input), rules, page);
  if (!head) {
    check(head.error().code == ErrorCode::corrupt && page.empty(), "what is not believed is corrupt and leaves nothing");
    check(head.error().message.size() < 20'000, "messages are for people");
    return;
  }
  check(page.size() <= head->keys && head->keys <= kMaxKeysOfPage, "pages have an end");
  check(head->next_token.empty() || head->keys + head->common_prefixes.size() > 0, "a list that goes on gets on");
  check(rules.grouping == ListRules::Grouping::by_delimiter || head->common_prefixes.empty(), "groups were asked for");
  check(head->last_key.has_value() == !page.empty(), "a page with objects has a last key");
  std::string_view previous = rules.previous;
  for (std::size_t i = 0; i < page.size(); ++i) {
    const std::string_view key = page[i].key;
    check(!key.empty() && key.size() <= 4096 && key.starts_with(rules.prefix), "keys are such as were asked for");
    check(previous.empty() || previous < key, "keys are in order");
    previous = key;
  }
  check(!head->last_key || *head->last_key == previous, "the last key is the last one");
  std::string_view before;
  for (const std::string& group : head->common_prefixes) {
    check(group.size() > rules.prefix.size() && group.starts_with(rules.prefix) && before < group, "groups are such as were asked for");
    before = group;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  ListRules rules;
  if ((data[0] & 1U) != 0) rules.prefix = "a";
  if ((data[0] & 2U) != 0) rules.previous = "a/b";
  if ((data[0] & 4U) != 0) rules.grouping = ListRules::Grouping::by_delimiter;
  check_scanner(body);
  check_page(body, rules);
  return 0;
}
