#include "object_store_contract.h"

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "base/text.h"
#include "pipeline/listing/range_pool.h"
#include "testing/fake_store.h"

namespace heimdall::testing {

using Kind = RemoveOutcome::Kind;

std::vector<ObjectMeta> list_all(ObjectReader& store, const ListRange& range) {
  std::vector<ObjectMeta> result;
  auto listing = store.list(range);
  if (!listing) {
    ADD_FAILURE() << listing.error().message;
    return result;
  }
  ObjectPage page;
  for (;;) {
    const auto status = (*listing)->next(page);
    if (!status) {
      ADD_FAILURE() << status.error().message;
      return result;
    }
    for (std::size_t i = 0; i < page.size(); ++i) {
      if (!result.empty() && page[i].key <= result.back().key.bytes()) {
        ADD_FAILURE() << "out of order: " << printable(page[i].key);
      }
      result.push_back(page[i].to_meta());
    }
    if (*status == PageStatus::last) return result;
  }
}

ObjectMeta ObjectStoreContract::put_and_head(const std::string& key, const std::string& content) {
  put(key, content);
  return store().head(ObjectKey(key)).value();
}

std::vector<ObjectMeta> ObjectStoreContract::list(const ListRange& range) { return list_all(store(), range); }

std::vector<std::string> ObjectStoreContract::keys(const ListRange& range) {
  std::vector<std::string> result;
  for (const ObjectMeta& object : list(range)) result.push_back(object.key.bytes());
  return result;
}

Kind ObjectStoreContract::remove_one(const ObjectMeta& object) {
  const auto outcomes = store().remove(std::vector{object}, OpenGate());
  return outcomes.value().at(0).kind;
}

namespace {

std::vector<std::string> odd_keys() {
  return {
      "a\nb",         "a\tb\x01",     "100%25.npy",       "a+b c",      "trailing ",  " leading",  "quote'\"<&>",
      "back\\slash",  "caf\xC3\xA9",  "cafe\xCC\x81",     "\xFF\xFE",   "d/\xC3\x28", "d/.hidden", "...",
      "tilde~",       "d-e",          "d.e",              "d/e",        "d0",         "D/e",       "{x}[y]*?",
      "deep/a/b/c/d", "\x7F",         std::string(200, 'n') + ".npy",   "\xF0\x9F\x8E\xB5", "a/-", "a!",
  };
}

// Random keys over a small alphabet that sorts around '/', none a folder of another.
std::set<std::string> random_keys(std::mt19937& random, int wanted) {
  constexpr std::array<std::string_view, 5> kAlphabet = {"-", ".", "0", "a", "\xC3\xA9"};  // S3 takes UTF-8 only
  std::set<std::string> result;
  for (int i = 0; i < wanted; ++i) {
    std::string key;
    for (auto parts = random() % 3 + 1; parts > 0; --parts) {
      for (auto n = random() % 3 + 1; n > 0; --n) key += kAlphabet[random() % kAlphabet.size()];
      key += parts > 1 ? "d/" : "f";
    }
    result.insert(key);
  }
  return result;
}

TEST_P(ObjectStoreContract, says_that_it_is_there_and_what_it_holds_if_it_can) {
  EXPECT_TRUE(store().ping({}));
  const auto capacity = store().capacity();
  ASSERT_TRUE(capacity) << capacity.error().message;
  if (!*capacity) return;
  EXPECT_GT((*capacity)->total_bytes, 0U);
  EXPECT_LE((*capacity)->used_bytes + (*capacity)->free_bytes, (*capacity)->total_bytes);
}

TEST_P(ObjectStoreContract, an_empty_bucket_lists_nothing_and_says_that_this_is_all) {
  EXPECT_TRUE(keys().empty());
  EXPECT_TRUE(keys({"some/prefix/", "", ""}).empty());
  const auto ranges = store().split({}, {.wanted = 4}).value();
  ASSERT_FALSE(ranges.empty());
  for (const ListRange& range : ranges) EXPECT_TRUE(keys(range).empty());
}

TEST_P(ObjectStoreContract, lists_in_byte_order_whatever_the_keys) {
  std::vector<std::string> expected;
  for (const std::string& key : odd_keys()) {
    if (bucket_->put(key, key)) expected.push_back(key);
  }
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(keys(), expected);
  for (const ObjectMeta& object : list()) {
    EXPECT_EQ(object.size_bytes, object.key.bytes().size());
    EXPECT_TRUE(object.last_modified);
    EXPECT_EQ(store().head(object.key).value(), object) << printable(object.key.bytes());
  }
}

TEST_P(ObjectStoreContract, a_prefix_may_end_inside_a_name) {
  for (const char* key : {"session", "sessions/1/a", "sessions/10/b", "sessions/2/c", "sessionz/d", "t"}) put(key);
  EXPECT_EQ(keys({"sessions/1", "", ""}), (std::vector<std::string>{"sessions/1/a", "sessions/10/b"}));
  EXPECT_EQ(keys({"sessions/1/", "", ""}), (std::vector<std::string>{"sessions/1/a"}));
  EXPECT_EQ(keys({"sessio", "", ""}),
            (std::vector<std::string>{"session", "sessions/1/a", "sessions/10/b", "sessions/2/c", "sessionz/d"}));
  EXPECT_EQ(keys({"sessions/1/a", "", ""}), (std::vector<std::string>{"sessions/1/a"}));
  EXPECT_TRUE(keys({"sessions/3", "", ""}).empty());
  EXPECT_TRUE(keys({"t/", "", ""}).empty());
}

TEST_P(ObjectStoreContract, ranges_list_exactly_what_lies_in_them) {
  std::mt19937 random(20261123);
  std::set<std::string> all = random_keys(random, 60);
  for (const std::string& key : all) put(key);
  const std::set<std::string> others = random_keys(random, 60);
  std::vector<std::string> bounds(all.begin(), all.end());
  bounds.insert(bounds.end(), others.begin(), others.end());
  bounds.insert(bounds.end(), {"", "a", "ad", "ad/", "-", ".d/", "\xFF"});
  for (int round = 0; round < 300; ++round) {
    const auto any = [&] { return bounds[random() % bounds.size()]; };
    const std::string whole = any();
    const ListRange range{whole.substr(0, random() % 4), any(), any()};
    std::vector<std::string> expected;
    for (const std::string& key : all) {
      if (key.starts_with(range.prefix) && key > range.after && (range.until.empty() || key <= range.until)) expected.push_back(key);
    }
    EXPECT_EQ(keys(range), expected) << printable(range.prefix) << " | " << printable(range.after) << " | " << printable(range.until);
  }
}

// What is there when a range is cut is listed by one of its parts. What is created later may be missed, as it is young; it is never listed twice.
TEST_P(ObjectStoreContract, the_parts_of_a_range_list_what_it_holds) {
  std::mt19937 random(7);
  std::set<std::string> sample;
  for (const std::string& key : random_keys(random, 80)) {
    put(key);
    if (random() % 3 == 0) sample.insert(key);
  }
  const std::vector<std::string> sampled(sample.begin(), sample.end());
  const std::vector<ListRange> wholes = {{"", "", ""}, {"a", "", ""}, {"ad/", "", ""}, {"0", "", ""}, {"nothing/", "", ""},
                                         {"", "a", ""}, {"", "", "d"}, {"", sampled[sampled.size() / 3], sampled[sampled.size() / 2]}};
  for (const ListRange& whole : wholes) {
    for (const unsigned wanted : {1U, 2U, 5U, 1000U}) {
      const auto before = keys(whole);
      const auto ranges = store().split(whole, {wanted, sampled, 1'000'000}).value();
      EXPECT_TRUE(check_tiling(whole, ranges)) << printable(whole.prefix) << " in " << wanted;
      for (const std::string& key : random_keys(random, 3)) put(key);
      std::vector<std::string> together;
      for (const ListRange& range : ranges) {
        const auto part = keys(range);
        together.insert(together.end(), part.begin(), part.end());
      }
      EXPECT_TRUE(std::ranges::is_sorted(together, std::ranges::less_equal())) << "twice, or out of order";
      EXPECT_TRUE(std::ranges::includes(together, before)) << printable(whole.prefix) << " in " << wanted;
      EXPECT_TRUE(std::ranges::includes(keys(whole), together));
    }
  }
}

TEST_P(ObjectStoreContract, many_objects_come_in_pages) {
  for (int i = 0; i < 2345; ++i) put("page/" + std::to_string(i));
  EXPECT_EQ(keys().size(), 2345U);
}

TEST_P(ObjectStoreContract, head_of_a_missing_object_is_not_found) {
  put("dir/file");
  for (const char* key : {"nothing", "dir", "dir/other", "dir/file/below", "no/such/dir", "dir/fil", "DIR/file"}) {
    EXPECT_EQ(store().head(ObjectKey(key)).error().code, ErrorCode::not_found) << key;
  }
}

TEST_P(ObjectStoreContract, inspect_answers_in_order) {
  const ObjectMeta a = put_and_head("a", "1");
  const ObjectMeta c = put_and_head("c/d", "333");
  const std::vector<ObjectKey> asked = {c.key, ObjectKey("b"), a.key, c.key};
  const auto answers = store().inspect(asked);
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers[0].value(), c);
  EXPECT_EQ(answers[1].error().code, ErrorCode::not_found);
  EXPECT_EQ(answers[2].value(), a);
  EXPECT_EQ(answers[3].value(), c);
}

// Invariant 6: one outcome per key, in order.
TEST_P(ObjectStoreContract, remove_tells_what_became_of_each) {
  const ObjectMeta goes = put_and_head("x/goes");
  const ObjectMeta gone = put_and_head("x/gone");
  const ObjectMeta rewritten = put_and_head("x/rewritten", "before");
  put("x/stays");
  bucket_->erase("x/gone");
  put("x/rewritten", "after!");  // of the same size
  const auto outcomes = store().remove(std::vector{rewritten, gone, goes}, OpenGate()).value();
  ASSERT_EQ(outcomes.size(), 3U);
  EXPECT_EQ(outcomes[0].kind, Kind::changed);
  EXPECT_EQ(outcomes[1].kind, Kind::already_gone);
  EXPECT_EQ(outcomes[2].kind, Kind::deleted);
  EXPECT_EQ(keys(), (std::vector<std::string>{"x/rewritten", "x/stays"}));
}

// Invariant 5: size, ETag and date must all be what was planned.
TEST_P(ObjectStoreContract, removes_only_what_was_planned) {
  const ObjectMeta object = put_and_head("a");
  ObjectMeta other = object;
  other.size_bytes += 1;
  EXPECT_EQ(remove_one(other), Kind::changed);
  other = object;
  other.etag += "0";
  EXPECT_EQ(remove_one(other), Kind::changed);
  other = object;
  other.last_modified = *object.last_modified - std::chrono::seconds(1);
  EXPECT_EQ(remove_one(other), Kind::changed);
  EXPECT_EQ(store().head(object.key).value(), object);
  EXPECT_EQ(remove_one(object), Kind::deleted);
}

TEST_P(ObjectStoreContract, removes_odd_keys) {
  for (const std::string& key : odd_keys()) {
    if (!bucket_->put(key, "x")) continue;
    EXPECT_EQ(remove_one(store().head(ObjectKey(key)).value()), Kind::deleted) << printable(key);
  }
  EXPECT_TRUE(keys().empty());
}

TEST_P(ObjectStoreContract, both_unicode_forms_are_two_objects) {
  const ObjectMeta composed = put_and_head("caf\xC3\xA9", "1");
  put("cafe\xCC\x81", "2");
  EXPECT_EQ(remove_one(composed), Kind::deleted);
  EXPECT_EQ(keys(), (std::vector<std::string>{"cafe\xCC\x81"}));
}

// Invariant 12: a closed gate lets nothing through.
TEST_P(ObjectStoreContract, a_closed_gate_sends_nothing) {
  const ObjectMeta object = put_and_head("a");
  ClosableGate gate;
  gate.close();
  EXPECT_EQ(store().remove(std::vector{object}, gate).value().at(0).kind, Kind::not_sent);
  EXPECT_EQ(store().head(object.key).value(), object);
}

TEST_P(ObjectStoreContract, refuses_more_than_a_batch) {
  const ObjectMeta object = put_and_head("a");
  const std::vector<ObjectMeta> many(store().max_batch() + 1, object);
  EXPECT_EQ(store().remove(many, OpenGate()).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(keys().size(), 1U);
}

TEST_P(ObjectStoreContract, settle_tells_what_is_there_now) {
  const ObjectMeta gone = put_and_head("gone");
  ASSERT_EQ(remove_one(gone), Kind::deleted);
  EXPECT_EQ(store().settle(gone).kind, Kind::deleted);

  const ObjectMeta kept = put_and_head("kept");
  EXPECT_EQ(store().settle(kept).kind, Kind::failed);

  const ObjectMeta rewritten = put_and_head("rewritten", "before");
  put("rewritten", "after!");
  EXPECT_EQ(store().settle(rewritten).kind, Kind::changed);
  EXPECT_EQ(keys(), (std::vector<std::string>{"kept", "rewritten"}));
}

// Invariant 9.
TEST_P(ObjectStoreContract, a_hold_keeps_others_away_until_it_ends) {
  auto first = store().hold();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(store().hold().error().code, ErrorCode::locked);
  first->reset();
  EXPECT_TRUE(store().hold());
}

TEST_P(ObjectStoreContract, reserved_keys_are_invisible_and_stay) {
  const bool storage = bucket_->put(".heimdall-storage/probe", "x");
  const bool trash = bucket_->put(".heimdall-trash/left", "x");
  ASSERT_TRUE(storage && trash);
  put(".heimdall-trashy");
  put("a/.heimdall-trash/mine");
  EXPECT_EQ(keys(), (std::vector<std::string>{".heimdall-trashy", "a/.heimdall-trash/mine"}));
  EXPECT_TRUE(keys({".heimdall-storage/", "", ""}).empty());
  EXPECT_TRUE(keys({".heimdall-trash/l", "", ""}).empty());
  const auto outcomes = store().remove(std::vector{ObjectMeta{ObjectKey(".heimdall-storage/probe"), 1, Timestamp{}, "e", ""}}, OpenGate());
  EXPECT_TRUE(!outcomes || outcomes->at(0).kind != Kind::deleted);
}

// Invariant 8: one physical bucket has one name, another one has another.
TEST_P(ObjectStoreContract, identity_names_the_physical_bucket) {
  const std::string identity = store().identity().value();
  EXPECT_FALSE(identity.empty());
  put("a");
  EXPECT_EQ(store().identity().value(), identity);
  const auto other = GetParam().make_bucket();
  EXPECT_NE(other->store().identity().value(), identity);
}

// Invariant 8.
TEST_P(ObjectStoreContract, nothing_outside_of_the_bucket_is_touched) {
  const auto other = GetParam().make_bucket();
  for (const char* key : {"a", "b/c", "b/d"}) {
    put(key);
    ASSERT_TRUE(other->put(key, "x"));
  }
  const auto before = list_all(other->store(), {});
  const auto all = list();
  const auto outcomes = store().remove(all, OpenGate()).value();
  for (const RemoveOutcome& outcome : outcomes) EXPECT_EQ(outcome.kind, Kind::deleted);
  EXPECT_TRUE(keys().empty());
  EXPECT_EQ(list_all(other->store(), {}), before);
}

}  // namespace

}  // namespace heimdall::testing
