// The server lists what its generator says, however one pages.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <set>

#include "base/format.h"
#include "loopback/bucket.h"
#include "loopback/expected.h"
#include "loopback/http_server.h"
#include "store/s3/s3_store.h"
#include "testing/fake_clock.h"

namespace heimdall::loopback {
namespace {

constexpr std::array kShapes = {Shape::flat, Shape::hierarchical, Shape::skewed, Shape::giant, Shape::adversarial};
constexpr std::uint64_t kCount = 12'345;

std::vector<std::string> all_keys(const KeySpace& keys) {
  std::vector<std::string> all;
  for (std::uint64_t i = 0; i < keys.count(); ++i) all.push_back(keys.key(i));
  return all;
}

class EveryShape : public ::testing::TestWithParam<Shape> {
 protected:
  const KeySpace keys_{GetParam(), kCount};
  Bucket bucket_{"bench", keys_, {}};

  Request request(std::string method, const std::string& target, std::string body = "") const {
    Request request{.method = std::move(method), .body = std::move(body)};
    parse_target(target, request);
    return request;
  }
  std::string text(const std::string& target) {
    const Answer answer = bucket_.answer(request("GET", target));
    EXPECT_EQ(answer.status, 200) << target;
    return answer.body + (answer.block ? std::string(answer.block.get(), answer.block_size) : "") + answer.tail;
  }
  void remove(std::uint64_t i) {
    bucket_.answer(request("POST", "/bench?delete", format("<Delete><Object><Key>{}</Key></Object></Delete>", xml_escaped(keys_.key(i)))));
  }

  static std::vector<std::string> all_between(const std::string& text, const std::string& open, const std::string& close) {
    std::vector<std::string> found;
    for (std::size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
      at += open.size();
      found.push_back(text.substr(at, text.find(close, at) - at));
    }
    return found;
  }
  static std::string plain(const std::string& encoded) {
    Request decoded;
    parse_target("/?k=" + encoded, decoded);
    return std::string(decoded.value("k"));
  }
  // The keys of all pages, one token after the other.
  std::vector<std::string> list(const std::string& parameters, std::vector<std::string>* common = nullptr) {
    std::vector<std::string> listed;
    std::string token;
    do {
      const std::string page = text("/bench?list-type=2&encoding-type=url" + parameters + (token.empty() ? "" : "&continuation-token=" + token));
      const auto keys = all_between(page, "<Contents><Key>", "</Key>");
      const auto prefixes = all_between(page, "<CommonPrefixes><Prefix>", "</Prefix>");
      EXPECT_EQ(all_between(page, "<KeyCount>", "<"), std::vector{std::to_string(keys.size() + prefixes.size())});
      for (const std::string& key : keys) listed.push_back(plain(key));
      for (const std::string& prefix : prefixes) {
        if (common != nullptr) common->push_back(plain(prefix));
      }
      const auto next = all_between(page, "<NextContinuationToken>", "<");
      EXPECT_EQ(all_between(page, "<IsTruncated>", "<"), std::vector<std::string>{next.empty() ? "false" : "true"});
      token = next.empty() ? "" : next.front();
    } while (!token.empty());
    return listed;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, EveryShape, ::testing::ValuesIn(kShapes));

TEST_P(EveryShape, keys_grow_byte_by_byte) {
  for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{19}, kCount, std::uint64_t{1'000'000'000}}) {
    const KeySpace keys(GetParam(), count);
    for (const std::uint64_t begin : {std::uint64_t{0}, count / 3, count - std::min<std::uint64_t>(count, 6000)}) {
      std::string previous;
      for (std::uint64_t i = begin; i < std::min(count, begin + 6000); ++i) {
        const std::string key = keys.key(i);
        ASSERT_LT(previous, key) << i << " of " << count;
        ASSERT_LE(key.size(), KeySpace::kMaxKeyBytes);
        ASSERT_EQ(key.find('\n'), std::string::npos);
        previous = key;
      }
    }
  }
}

TEST_P(EveryShape, numbers_are_found_from_keys) {
  const KeySpace keys(GetParam(), 1'000'000'000);
  std::mt19937_64 random(1);
  for (int n = 0; n < 200; ++n) {
    const std::uint64_t i = random() % keys.count();
    const std::string key = keys.key(i);
    EXPECT_EQ(keys.find(key), i);
    EXPECT_EQ(keys.lower_bound(key), i);
    EXPECT_EQ(keys.upper_bound(key), i + 1);
    EXPECT_EQ(keys.lower_bound(key + '\0'), i + 1);
    EXPECT_EQ(keys.find(key + "x"), std::nullopt);
    EXPECT_EQ(keys.end_of_prefix(key), i + 1);
  }
}

TEST_P(EveryShape, tokens_lead_through_all_keys) {
  const auto expected = all_keys(keys_);
  for (const int most : {1000, 999, 7}) EXPECT_EQ(list(format("&max-keys={}", most)), expected) << most;
}

TEST_P(EveryShape, any_start_goes_on_right_behind_it) {
  const auto expected = all_keys(keys_);
  std::mt19937_64 random(2);
  for (int n = 0; n < 50; ++n) {
    std::string start = expected[random() % expected.size()];
    if (n % 3 == 1) start.resize(random() % start.size() + 1);
    if (n % 3 == 2) start += '!';
    const auto begin = std::upper_bound(expected.begin(), expected.end(), start);
    const std::string page = text("/bench?list-type=2&encoding-type=url&max-keys=1000&start-after=" + url_encoded(start));
    const auto listed = all_between(page, "<Contents><Key>", "</Key>");
    ASSERT_EQ(listed.size(), std::min<std::size_t>(1000, static_cast<std::size_t>(expected.end() - begin))) << start;
    for (std::size_t i = 0; i < listed.size(); ++i) ASSERT_EQ(plain(listed[i]), begin[static_cast<std::ptrdiff_t>(i)]);
  }
}

TEST_P(EveryShape, a_prefix_has_all_of_its_keys_and_no_other) {
  const auto all = all_keys(keys_);
  std::mt19937_64 random(3);
  for (int n = 0; n < 30; ++n) {
    const std::string& key = all[random() % all.size()];
    const std::string prefix = key.substr(0, random() % key.size() + 1);
    std::vector<std::string> expected;
    std::copy_if(all.begin(), all.end(), std::back_inserter(expected), [&](const std::string& k) { return k.starts_with(prefix); });
    EXPECT_EQ(list("&prefix=" + url_encoded(prefix)), expected) << prefix;
  }
}

TEST_P(EveryShape, a_delimiter_rolls_up_what_lies_deeper) {
  const auto all = all_keys(keys_);
  std::set<std::string> expected_common;
  std::vector<std::string> expected;
  for (const std::string& key : all) {
    if (const auto slash = key.find('/'); slash != std::string::npos) expected_common.insert(key.substr(0, slash + 1));
    else expected.push_back(key);
  }
  for (const int most : {1000, 3}) {
    std::vector<std::string> common;
    EXPECT_EQ(list(format("&delimiter=/&max-keys={}", most), &common), expected);
    EXPECT_EQ(common, std::vector<std::string>(expected_common.begin(), expected_common.end()));
  }
}

TEST_P(EveryShape, what_is_deleted_is_neither_listed_nor_found) {
  auto expected = all_keys(keys_);
  const std::string first = expected[0], other = expected[777];
  remove(0);
  for (std::uint64_t i = 700; i < 900; ++i) remove(i);
  remove(kCount - 1);
  expected.erase(expected.begin() + 700, expected.begin() + 900);
  expected.erase(expected.begin());
  expected.pop_back();
  EXPECT_EQ(list(""), expected);
  EXPECT_EQ(bucket_.answer(request("HEAD", "/bench/" + url_encoded(other))).status, 404);
  EXPECT_EQ(bucket_.answer(request("POST", "/-/reset")).status, 204);
  EXPECT_EQ(list(""), all_keys(keys_));
}

// Over sockets, with the product's own reader: what HEAD says is what the list said.
TEST_P(EveryShape, the_product_lists_every_key) {
  auto server = HttpServer::start({.threads = 2, .name = "heimdall-loopback"}, bucket_);
  ASSERT_TRUE(server);
  S3Options options;
  options.endpoint = format("http://127.0.0.1:{}", (*server)->port());
  options.bucket = "bench";
  options.environment = [](const std::string& name) -> std::optional<std::string> {
    return name.starts_with("AWS_") && name.ends_with("KEY_ID") ? "id" : name.ends_with("ACCESS_KEY") ? "secret" : std::optional<std::string>();
  };
  heimdall::testing::FakeClock clock;
  auto reader = open_s3_reader(options, clock);
  ASSERT_TRUE(reader) << reader.error().message;
  auto listing = (*reader)->list({"", "", ""});
  ASSERT_TRUE(listing);
  std::vector<ObjectMeta> listed;
  for (ObjectPage page;;) {
    const auto status = (*listing)->next(page);
    ASSERT_TRUE(status) << status.error().message;
    for (std::size_t i = 0; i < page.size(); ++i) listed.push_back(page[i].to_meta());
    if (*status == PageStatus::last) break;
  }
  ASSERT_EQ(listed.size(), kCount);
  for (std::uint64_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(listed[i].key.bytes(), keys_.key(i));
    ASSERT_EQ(listed[i].size_bytes, object_size(i));
  }
  for (std::size_t i = 0; i < kCount; i += 1000) {
    const auto found = (*reader)->head(listed[i].key);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(*found, listed[i]);
  }
}

TEST_P(EveryShape, the_references_are_those_that_are_counted) {
  const References references{keys_, 10, 33};
  std::FILE* const file = std::tmpfile();
  ASSERT_TRUE(write_references(references, fileno(file)));
  std::rewind(file);
  std::string text(std::size_t{4} << 20, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  std::set<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.insert(text.substr(at, end - at));
    at = end + 1;
  }

  Expected counted{};
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const bool is_orphan = lines.erase(keys_.key(i)) == 0;
    ++counted.total_objects;
    counted.total_bytes += object_size(i);
    if (is_orphan) {
      ++counted.orphans_found;
      counted.orphan_bytes += object_size(i);
    } else {
      ++counted.referenced_objects;
    }
  }
  counted.dangling_references = lines.size();
  counted.references = counted.referenced_objects + lines.size();
  EXPECT_EQ(to_json(expected_of(references)), to_json(counted));
}

TEST(Loopback, beyond_its_rate_it_says_slow_down) {
  Bucket bucket("bench", KeySpace(Shape::flat, 10), {.max_requests_per_second = 10});
  Request request{.method = "GET"};
  parse_target("/bench?list-type=2", request);
  EXPECT_EQ(bucket.answer(request).status, 200);
  EXPECT_EQ(bucket.answer(request).status, 503);
}

TEST(Loopback, keys_wait_for_one_disk) {
  Bucket bucket("bench", KeySpace(Shape::flat, 5000), {.latency = std::chrono::milliseconds(3), .per_key = std::chrono::milliseconds(1)});
  Request request{.method = "GET"};
  parse_target("/bench?list-type=2", request);
  EXPECT_LE(bucket.answer(request).delay, std::chrono::milliseconds(1003));
  EXPECT_GT(bucket.answer(request).delay, std::chrono::milliseconds(1500));
}

}  // namespace
}  // namespace heimdall::loopback
