#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "s3_bucket.h"
#include "io/sha256.h"
#include "store/s3/list_page.h"
#include "store/s3/sigv4.h"

namespace heimdall::testing {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using Kind = RemoveOutcome::Kind;

INSTANTIATE_TEST_SUITE_P(S3, ObjectStoreContract,
                         ::testing::Values(StoreUnderTest{"minio", [] { return std::make_unique<S3Bucket>(minio()); }},
                                           StoreUnderTest{"versitygw", [] { return std::make_unique<S3Bucket>(versitygw()); }}),
                         name_of_store);

std::vector<std::string> keys_of(const std::vector<ObjectMeta>& objects) {
  std::vector<std::string> keys;
  for (const ObjectMeta& object : objects) keys.push_back(object.key.bytes());
  return keys;
}

std::vector<Kind> remove_all(ObjectStore& store, const std::vector<ObjectMeta>& objects) {
  std::vector<Kind> kinds;
  const auto outcomes = store.remove(objects, OpenGate()).value();
  for (const RemoveOutcome& outcome : outcomes) kinds.push_back(outcome.kind);
  return kinds;
}

// What the listing hides: everything below our own prefix.
std::size_t reserved_objects(S3Bucket& bucket) {
  S3Call call;
  call.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", ".heimdall-storage/"}};
  call.intent.what = "list";
  ObjectPage page;
  return read_list_page(bucket.session().read(std::move(call)).value().body, {.prefix = ".heimdall-storage/"}, page).value().keys;
}

// On both kinds of server: one that ignores If-Match and one that honours it.
class S3Servers : public ::testing::TestWithParam<std::string> {
 protected:
  static TestServer& server() { return GetParam() == "minio" ? minio() : versitygw(); }
  S3Bucket bucket_{server()};
};
INSTANTIATE_TEST_SUITE_P(S3, S3Servers, ::testing::Values("minio", "versitygw"), [](const auto& kind) { return kind.param; });

// MinIO and versitygw take "/t" for "t", and versitygw "d//f" for "d/f": whoever asks for the one must not get the other.
TEST_P(S3Servers, a_key_is_not_taken_for_the_path_it_cleans_to) {
  for (const char* key : {"t", "d/f"}) ASSERT_TRUE(bucket_.put(key, "x"));
  const auto all = list_all(bucket_.store(), {});
  for (const char* key : {"/t", "//t", "./t", "d//f", "/d/f", "d/./f", "d/../t", "d/../d/f", "..", "."}) {
    ObjectMeta object = all[std::string_view(key).ends_with('t') ? 1 : 0];
    object.key = ObjectKey(key);
    EXPECT_EQ(bucket_.store().head(object.key).error().code, ErrorCode::not_found) << key;
    EXPECT_THAT(remove_all(bucket_.store(), {object}), Each(Kind::already_gone)) << key;
  }
  EXPECT_TRUE(list_all(bucket_.store(), {"/", "", ""}).empty());
  EXPECT_EQ(list_all(bucket_.store(), {}), all);
}

TEST_P(S3Servers, keys_that_no_object_can_have_are_absent) {
  for (const std::string& key : {std::string("\xFF\xFE"), std::string("a\\..\\b"), std::string(1200, 'k')}) {
    EXPECT_EQ(bucket_.store().head(ObjectKey(key)).error().code, ErrorCode::not_found) << printable(key);
  }
}

// The keys that XML cannot carry go one by one, beside a batch of the others.
TEST_P(S3Servers, control_characters_are_deleted_beside_others) {
  std::vector<ObjectMeta> objects;
  for (const char* key : {"c/a", "c/b\x01", "c/c\nd", "c/d\re", "c/e\tf", "c/f\xEF\xBF\xBE", "c/g<&>", "c/h ", "c/i\x7F"}) {
    ASSERT_TRUE(bucket_.put_any(key, "x")) << key;
    objects.push_back(bucket_.store().head(ObjectKey(key)).value());
  }
  EXPECT_THAT(remove_all(bucket_.store(), objects), Each(Kind::deleted));
  for (const ObjectMeta& object : objects) EXPECT_EQ(bucket_.store().head(object.key).error().code, ErrorCode::not_found);
  EXPECT_EQ(reserved_objects(bucket_), 0U);
}

// Invariant 6: a thousand at once, sparse among others, each with its outcome.
TEST_P(S3Servers, a_full_batch_has_an_outcome_for_each_key) {
  for (int i = 0; i < 1500; ++i) ASSERT_TRUE(bucket_.put("s/" + std::to_string(10000 + i), "x"));
  std::vector<ObjectMeta> all = list_all(bucket_.store(), {});
  ASSERT_EQ(all.size(), 1500U);
  std::vector<ObjectMeta> batch;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i % 3 != 2) batch.push_back(all[i]);
  }
  ASSERT_EQ(batch.size(), 1000U);
  ASSERT_TRUE(bucket_.put(batch[17].key.bytes(), "rewritten"));
  bucket_.erase(batch[18].key.bytes());
  std::reverse(batch.begin(), batch.end());
  const auto kinds = remove_all(bucket_.store(), batch);
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), Kind::deleted), 998);
  EXPECT_EQ(kinds[999 - 17], Kind::changed);
  EXPECT_EQ(kinds[999 - 18], Kind::already_gone);
  EXPECT_EQ(list_all(bucket_.store(), {}).size(), 501U);
}

// Rewrites the object between the comparison and the delete, where only the server can tell.
class RewritingGate final : public SendGate {
 public:
  explicit RewritingGate(S3Bucket& bucket) : bucket_(bucket) {}
  bool is_open() const override {
    if (is_armed_) bucket_.put("a", "rewritten at the last moment");
    return true;
  }
  void arm() { is_armed_ = true; }

 private:
  S3Bucket& bucket_;
  bool is_armed_ = false;
};

TEST_P(S3Servers, honours_if_match_where_the_server_does) {
  const DeleteFacts facts = bucket_.store().try_deleting(TryBy::writing).value();
  EXPECT_TRUE(facts.proved);
  EXPECT_EQ(facts.not_told, "");
  EXPECT_EQ(facts.honours_if_match, GetParam() == "versitygw");
  EXPECT_TRUE(bucket_.store().try_deleting(TryBy::asking)->proved);
  EXPECT_EQ(reserved_objects(bucket_), 0U);

  ASSERT_TRUE(bucket_.put("first", "x"));
  EXPECT_THAT(remove_all(bucket_.store(), {bucket_.store().head(ObjectKey("first")).value()}), Each(Kind::deleted));
  if (GetParam() != "versitygw") return;
  ASSERT_TRUE(bucket_.put("a", "planned"));
  const std::vector<ObjectKey> keys = {ObjectKey("a")};
  const auto planned = bucket_.store().inspect(keys);
  RewritingGate gate(bucket_);
  gate.arm();
  const auto outcome = bucket_.store().remove(std::vector{*planned[0]}, gate).value().at(0);
  EXPECT_EQ(outcome.kind, Kind::changed) << outcome.message;
  EXPECT_TRUE(bucket_.store().head(ObjectKey("a")));
}

TEST_P(S3Servers, says_what_is_wrong) {
  SystemClock clock;
  const auto secret = open_s3_reader(options_for(server(), bucket_.name(), "wrong"), clock).value()->server_time();
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(secret.error().message, HasSubstr("a wrong secret key"));

  const auto absent = open_s3_reader(options_for(server(), "no-such-bucket"), clock).value();
  for (const Error& error : {absent->identity().error(), absent->server_time().error()}) {
    EXPECT_EQ(error.code, ErrorCode::not_found) << error.message;
    EXPECT_THAT(error.message, HasSubstr("there is no bucket 'no-such-bucket'"));
    EXPECT_NE(error.hint, "");
  }
  // The bucket is missing, not the object.
  EXPECT_EQ(absent->head(ObjectKey("a")).error().code, ErrorCode::failed_precondition);

  S3Options other_key = options_for(server(), bucket_.name());
  other_key.environment = environment_of({{"TEST_ACCESS_KEY", "nobody"}, {"TEST_SECRET_KEY", "nothing-to-know"}});
  const auto unknown = open_s3_reader(other_key, clock).value()->identity();
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(unknown.error().message, HasSubstr("does not know the access key"));
}

TEST_P(S3Servers, tells_about_itself) {
  const StoreFacts facts = bucket_.store().facts().value();
  EXPECT_EQ(facts.server, GetParam() == "minio" ? "MinIO" : "VERSITYGW");
  EXPECT_EQ(facts.versioning, StoreFacts::Versioning::off);
  EXPECT_FALSE(facts.object_lock);
  EXPECT_EQ(facts.expiry_rules, 0U);
  const auto off = bucket_.store().server_time().value() - bucket_.clock().now();
  EXPECT_LT(std::chrono::abs(off), std::chrono::seconds(3));
}

TEST_P(S3Servers, reader_and_store_name_and_hold_the_same_bucket) {
  SystemClock clock;
  const auto reader = open_s3_reader(options_for(server(), bucket_.name()), clock).value();
  EXPECT_EQ(reader->identity().value(), bucket_.store().identity().value());
  EXPECT_EQ(dynamic_cast<ObjectStore*>(reader.get()), nullptr);
  const auto other = open_s3_store(options_for(server(), bucket_.name()), clock).value();
  const auto hold = bucket_.store().hold();
  ASSERT_TRUE(hold);
  const auto refused = other->hold();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::locked);
  EXPECT_THAT(refused.error().message, HasSubstr(format("process {} ", getpid())));
}

// Where a list may end silently: over 1,000 siblings of D/ between "D-" and "D/", and a start inside of D/.
TEST_P(S3Servers, loses_no_keys_beside_a_thousand_siblings) {
  std::set<std::string> all;
  for (int i = 0; i < 1100; ++i) all.insert("2024-" + std::to_string(10000 + i) + ".jpg");
  for (int i = 10; i < 50; ++i) all.insert("2024/p0" + std::to_string(i) + ".jpg");
  all.insert("2025");
  for (const std::string& key : all) ASSERT_TRUE(bucket_.put(key, "x"));
  const std::vector<std::string> expected(all.begin(), all.end());
  EXPECT_EQ(keys_of(list_all(bucket_.store(), {})), expected);
  for (const char* after : {"2024/p010.jpg", "2024/", "2024-10999.jpg", "2024"}) {
    const std::vector<std::string> rest(all.upper_bound(after), all.end());
    EXPECT_EQ(keys_of(list_all(bucket_.store(), {"", after, ""})), rest) << after;
    EXPECT_EQ(keys_of(list_all(bucket_.store(), {"2024", after, ""})), std::vector<std::string>(rest.begin(), rest.end() - 1)) << after;
  }
  std::vector<ObjectKey> asked;
  for (auto key = all.lower_bound("2024/"); key != all.end(); ++key) asked.emplace_back(*key);
  for (const auto& found : bucket_.store().inspect(asked)) EXPECT_TRUE(found) << found.error().message;
  asked.insert(asked.begin(), ObjectKey("2024-10000.jpg"));
  for (const auto& found : bucket_.store().inspect(asked)) EXPECT_TRUE(found) << found.error().message;
}

// A delete makes a marker there, and space does not come back: the caller is told by facts().
TEST(S3Minio, a_bucket_with_versions_keeps_what_is_deleted) {
  S3Bucket bucket(minio());
  bucket.enable_versioning();
  EXPECT_EQ(bucket.store().facts()->versioning, StoreFacts::Versioning::enabled);
  for (const char* key : {"a", "b"}) ASSERT_TRUE(bucket.put(key, "x"));
  const auto objects = list_all(bucket.store(), {});
  ASSERT_EQ(objects.size(), 2U);
  EXPECT_EQ(bucket.store().head(objects[0].key).value(), objects[0]);
  EXPECT_THAT(remove_all(bucket.store(), objects), Each(Kind::deleted));
  EXPECT_TRUE(list_all(bucket.store(), {}).empty());
  EXPECT_EQ(bucket.store().head(objects[0].key).error().code, ErrorCode::not_found);
  EXPECT_EQ(bucket.store().settle(objects[0]).kind, Kind::deleted);
  const std::string versions = bucket.list_versions();
  EXPECT_THAT(versions, HasSubstr("<DeleteMarker>"));
  EXPECT_THAT(versions, HasSubstr("<Version>"));
  EXPECT_EQ(versions.find(".heimdall-storage"), std::string::npos);
  // No second marker on top of the first.
  EXPECT_THAT(remove_all(bucket.store(), objects), Each(Kind::already_gone));
  // What `doctor --probe` writes is removed with its versions.
  EXPECT_TRUE(bucket.store().try_deleting(TryBy::writing)->proved);
  EXPECT_EQ(bucket.list_versions().find(".heimdall-storage"), std::string::npos);
}

// Keys of a session whose policy has no delete, from MinIO's AssumeRole.
Environment session_keys(const std::string& policy) {
  const std::string endpoint = minio()["endpoint"];
  SigningInput input{.method = HttpMethod::post, .host = endpoint.substr(7), .path = "/", .query = {}, .headers = {}, .payload_sha256 = "",
                     .region = "us-east-1", .service = "sts"};
  HttpRequest request{.method = HttpMethod::post, .url = endpoint + "/"};
  request.body = "Action=AssumeRole&Version=2011-06-15&DurationSeconds=900&Policy=" + s3_encode(policy, Slash::encode);
  input.payload_sha256 = sha256_hex(request.body);
  request.headers = sign(input, {minio()["access_key"], minio()["secret_key"], ""}, SystemClock().now());
  request.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
  const std::string body = HttpClient::create({}).value()->perform(std::move(request)).value().body;
  const auto field = [&](const std::string& name) {
    const auto at = body.find("<" + name + ">");
    if (at == std::string::npos) throw std::runtime_error(body);
    return body.substr(at + name.size() + 2, body.find("</" + name + ">") - at - name.size() - 2);
  };
  return environment_of({{"AWS_ACCESS_KEY_ID", field("AccessKeyId")}, {"AWS_SECRET_ACCESS_KEY", field("SecretAccessKey")},
                         {"AWS_SESSION_TOKEN", field("SessionToken")}});
}

TEST(S3Minio, keys_that_may_not_delete_are_told_what_is_missing) {
  S3Bucket bucket(minio());
  ASSERT_TRUE(bucket.put("a", "x") && bucket.put("b", "x"));
  const auto objects = list_all(bucket.store(), {});
  S3Options options = options_for(minio(), bucket.name());
  options.credentials = {};
  options.environment = session_keys(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucket","s3:GetObject"],"Resource":["arn:aws:s3:::*"]}]})");
  SystemClock clock;
  const auto store = open_s3_store(options, clock).value();
  EXPECT_EQ(list_all(*store, {}), objects);
  const auto denied = store->try_deleting(TryBy::asking);
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(denied.error().hint, HasSubstr("s3:DeleteObject"));
  EXPECT_THAT(remove_all(*store, objects), Each(Kind::failed));
  EXPECT_THAT(remove_all(*store, {objects[0]}), Each(Kind::failed));
  EXPECT_EQ(list_all(bucket.store(), {}), objects);
  const StoreFacts facts = store->facts().value();
  EXPECT_EQ(facts.versioning, StoreFacts::Versioning::unknown);
  EXPECT_EQ(facts.not_told.size(), 3U);
  // The bucket is the same, whoever asks.
  EXPECT_EQ(store->identity().value(), bucket.store().identity().value());
}

// The account of the server may ask; keys that may only read may not, and are told nothing.
TEST(S3Minio, tells_what_its_disks_hold_to_those_who_may_ask) {
  S3Bucket bucket(minio());
  ASSERT_TRUE(bucket.put("a", std::string(1 << 20, 'x')));
  const auto capacity = bucket.store().capacity().value();
  ASSERT_TRUE(capacity.has_value());
  EXPECT_GT(capacity->used_bytes, 0U);
  EXPECT_GT(capacity->free_bytes, 0U);
  EXPECT_LE(capacity->used_bytes + capacity->free_bytes, capacity->total_bytes);

  S3Options options = options_for(minio(), bucket.name());
  options.credentials = {};
  options.environment = session_keys(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::*"]}]})");
  SystemClock clock;
  const auto reader = open_s3_reader(options, clock).value();
  EXPECT_EQ(reader->capacity().value(), std::nullopt);
  EXPECT_TRUE(reader->ping({}));
}

TEST(S3Versitygw, tells_nothing_about_its_disks) {
  S3Bucket bucket(versitygw());
  EXPECT_EQ(bucket.store().capacity().value(), std::nullopt);
}

TEST_P(S3Servers, a_ping_tells_apart_what_is_wrong) {
  SystemClock clock;
  const auto code = [&](const S3Options& options) {
    const auto looked = open_s3_reader(options, clock).value()->ping({});
    return looked ? std::nullopt : std::optional(looked.error().code);
  };
  EXPECT_EQ(code(options_for(server(), bucket_.name())), std::nullopt);
  EXPECT_EQ(code(options_for(server(), "no-such-bucket")), ErrorCode::not_found);
  EXPECT_EQ(code(options_for(server(), bucket_.name(), "a-wrong-secret-key")), ErrorCode::permission_denied);
  S3Options away = options_for(server(), bucket_.name());
  away.endpoint = "http://127.0.0.1:1";
  EXPECT_EQ(code(away), ErrorCode::unavailable);
}

// versitygw cannot write these names, so nobody can know them from a list: they are kept, and the others are listed.
TEST(S3Versitygw, lists_around_names_that_it_cannot_write) {
  S3Bucket bucket(versitygw());
  for (const char* key : {"a", "b\x01", "b\x02", "c\xFF", "d"}) ASSERT_TRUE(bucket.put_any(key, "x")) << key;
  EXPECT_EQ(keys_of(list_all(bucket.store(), {})), (std::vector<std::string>{"a", "d"}));
  EXPECT_TRUE(bucket.store().head(ObjectKey("b\x01")));
  EXPECT_EQ(bucket.store().head(ObjectKey("b\xEF\xBF\xBD")).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace heimdall::testing
