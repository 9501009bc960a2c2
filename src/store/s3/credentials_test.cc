#include "store/s3/credentials.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <thread>

#include "testing/temp_dir.h"

namespace heimdall {
namespace {

struct CredentialsTest : ::testing::Test {
  void set(const std::string& name, const std::string& value) { variables[name] = value; }
  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((dir / name).parent_path());
    std::ofstream(dir / name, std::ios::binary) << text;
    return dir / name;
  }
  CredentialSource source(CredentialPlaces places = {}) {
    return CredentialSource(std::move(places), [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
  }
  Result<Credentials> get(CredentialPlaces places = {}) { return source(std::move(places)).get(); }
  // The message and hint of the error, which must not hold the word that marks secrets in these tests.
  std::string refusal(CredentialPlaces places = {}) {
    auto found = get(std::move(places));
    if (found) return "found some";
    EXPECT_EQ(found.error().code, ErrorCode::permission_denied) << found.error().message;
    EXPECT_FALSE(found.error().hint.empty()) << found.error().message;
    const std::string text = found.error().message + " | " + found.error().hint;
    EXPECT_EQ(text.find("VALUE"), std::string::npos) << text;
    return text;
  }
  static CredentialPlaces profile(std::string name) {
    CredentialPlaces places;
    places.profile = std::move(name);
    return places;
  }
  static CredentialPlaces variables_named(std::string access_key, std::string secret_key) {
    CredentialPlaces places;
    places.access_key.environment = std::move(access_key);
    places.secret_key.environment = std::move(secret_key);
    return places;
  }
  static CredentialPlaces files_named(std::filesystem::path access_key, std::filesystem::path secret_key) {
    CredentialPlaces places;
    places.access_key.file = std::move(access_key);
    places.secret_key.file = std::move(secret_key);
    return places;
  }

  testing::TempDir dir;
  std::map<std::string, std::string> variables = {{"HOME", dir.path().native()}};
};

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(CredentialsTest, named_variables_come_before_everything) {
  set("AWS_ACCESS_KEY_ID", "other");
  set("AWS_SECRET_ACCESS_KEY", "other");
  set("AWS_SESSION_TOKEN", "other");
  set("MINIO_A", "a");
  set("MINIO_S", "s");
  EXPECT_EQ(*get(variables_named("MINIO_A", "MINIO_S")), (Credentials{"a", "s", ""}));
  EXPECT_EQ(source(variables_named("MINIO_A", "MINIO_S")).description(), "environment variables MINIO_A and MINIO_S");
}

TEST_F(CredentialsTest, a_named_variable_that_is_not_set_is_named) {
  set("AWS_ACCESS_KEY_ID", "other");
  set("AWS_SECRET_ACCESS_KEY", "other");
  set("MINIO_A", "VALUE");
  set("MINIO_S", "");
  const std::string one = refusal(variables_named("MINIO_A", "MINIO_S"));
  EXPECT_CONTAINS(one, "secret key's environment variable MINIO_S is not set");
  EXPECT_EQ(one.find("MINIO_A"), std::string::npos);
  const std::string both = refusal(variables_named("MINIO_X", "MINIO_S"));
  EXPECT_CONTAINS(both, "MINIO_X is not set");
  EXPECT_CONTAINS(both, "MINIO_S is not set");
}

TEST_F(CredentialsTest, named_files_lose_the_end_of_their_line) {
  const auto a = write("a", "key\n"), s = write("s", "sec ret \r\n");
  EXPECT_EQ(*get(files_named(a, s)), (Credentials{"key", "sec ret", ""}));
  EXPECT_EQ(source(files_named(a, s)).description(), "files '" + a.native() + "' and '" + s.native() + "'");
  CredentialPlaces mixed = files_named(a, s);
  mixed.access_key = {.environment = "MINIO_A", .file = {}};
  set("MINIO_A", "b");
  EXPECT_EQ(get(mixed)->access_key, "b");
  EXPECT_EQ(source(mixed).description(), "environment variable MINIO_A and file '" + s.native() + "'");
}

TEST_F(CredentialsTest, a_named_file_that_is_missing_empty_or_long_is_named) {
  const auto a = write("a", "key"), empty = write("empty", " \n"), lines = write("lines", "VALUE\nVALUE\n");
  EXPECT_CONTAINS(refusal(files_named(a, dir / "nowhere")), "nowhere");
  EXPECT_CONTAINS(refusal(files_named(a, empty)), "secret key's file '" + empty.native() + "' is empty");
  EXPECT_CONTAINS(refusal(files_named(lines, a)), "access key's file '" + lines.native() + "' holds more than one line");
}

TEST_F(CredentialsTest, half_a_pair_says_which_half_is_missing) {
  CredentialPlaces half;
  half.access_key.environment = "MINIO_A";
  set("MINIO_A", "VALUE");
  EXPECT_CONTAINS(refusal(half), "the secret key is missing");
  std::swap(half.access_key, half.secret_key);
  EXPECT_CONTAINS(refusal(half), "the access key is missing");

  set("AWS_ACCESS_KEY_ID", "VALUE");
  EXPECT_CONTAINS(refusal(), "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
  variables = {{"HOME", dir.path().native()}, {"AWS_SECRET_ACCESS_KEY", "VALUE"}, {"AWS_ACCESS_KEY_ID", ""}};
  EXPECT_CONTAINS(refusal(), "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not");

  variables = {{"HOME", dir.path().native()}};
  write(".aws/credentials", "[default]\naws_access_key_id = VALUE\naws_secret_access_key =\n");
  EXPECT_CONTAINS(refusal(), "profile 'default' of ~/.aws/credentials has only half of the credentials: aws_secret_access_key is missing");
  write(".aws/credentials", "[default]\naws_secret_access_key = VALUE\n");
  EXPECT_CONTAINS(refusal(), "aws_access_key_id is missing");
}

TEST_F(CredentialsTest, the_environment_comes_before_the_files_unless_a_profile_is_named) {
  write(".aws/credentials", "[default]\naws_access_key_id=fa\naws_secret_access_key=fs\n[x]\naws_access_key_id=xa\naws_secret_access_key=xs\n");
  EXPECT_EQ(get()->access_key, "fa");
  set("AWS_PROFILE", "x");
  EXPECT_EQ(get()->access_key, "xa");
  EXPECT_EQ(get(profile("default"))->access_key, "fa");
  EXPECT_EQ(source(profile("default")).description(), "profile 'default' of ~/.aws/credentials");
  set("AWS_ACCESS_KEY_ID", "ea");
  set("AWS_SECRET_ACCESS_KEY", "es");
  set("AWS_SESSION_TOKEN", "et");
  EXPECT_EQ(*get(), (Credentials{"ea", "es", "et"}));
  EXPECT_EQ(source().description(), "environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(get(profile("x"))->access_key, "xa");
  set("AWS_ACCESS_KEY_ID", "");
  set("AWS_SECRET_ACCESS_KEY", "");
  EXPECT_EQ(get()->access_key, "xa");
}

TEST_F(CredentialsTest, the_files_syntax_is_that_of_the_aws_tools) {
  write(".aws/credentials",
        "\xEF\xBB\xBF# a comment = 1\r\n"
        "aws_access_key_id = before any section\r\n"
        "\r\n"
        "[ other ]\n"
        "aws_access_key_id = no\n"
        "[default]   # the usual one\n"
        "  AWS_Access_Key_Id\t=  a;b#c   ; a comment\n"
        "  aws_secret_access_key=s+/=  \n"
        "; aws_session_token = no\n"
        "  s3 =\n"
        "     aws_session_token = nested\n"
        "  aws_session_token = t\n"
        "no property\n"
        "[other2]\n"
        "aws_session_token = no");
  EXPECT_EQ(*get(), (Credentials{"a;b#c", "s+/=", "t"}));
  EXPECT_CONTAINS(refusal(profile("other")), "aws_secret_access_key is missing");
}

TEST_F(CredentialsTest, in_the_config_file_profiles_are_called_so) {
  write(".aws/config",
        "[default]\naws_access_key_id=da\naws_secret_access_key=ds\n"
        "[x]\naws_access_key_id=no\naws_secret_access_key=no\n"
        "[profile  x]\naws_access_key_id=xa\naws_secret_access_key=xs\n"
        "[profile \"a b\"]\naws_access_key_id=aa\naws_secret_access_key=as\n"
        "[profiley]\naws_access_key_id=no\naws_secret_access_key=no\n");
  EXPECT_EQ(get()->access_key, "da");
  EXPECT_EQ(get(profile("x"))->access_key, "xa");
  EXPECT_EQ(get(profile("a b"))->access_key, "aa");
  EXPECT_EQ(source(profile("x")).description(), "profile 'x' of ~/.aws/config");
  EXPECT_CONTAINS(refusal(profile("y")), "no credentials");
  write(".aws/credentials", "[x]\naws_access_key_id=ca\naws_secret_access_key=cs\n[profile y]\naws_access_key_id=no\n");
  EXPECT_EQ(get(profile("x"))->access_key, "ca");
  EXPECT_CONTAINS(refusal(profile("y")), "no credentials");
}

TEST_F(CredentialsTest, a_role_is_refused_instead_of_acting_without_it) {
  write(".aws/credentials", "[x]\naws_access_key_id=VALUE\naws_secret_access_key=VALUE\n");
  write(".aws/config", "[profile x]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = x\n");
  EXPECT_CONTAINS(refusal(profile("x")), "role_arn");
}

TEST_F(CredentialsTest, the_files_may_be_elsewhere) {
  set("AWS_SHARED_CREDENTIALS_FILE", write("c", "[default]\naws_access_key_id=a\naws_secret_access_key=s\n"));
  EXPECT_EQ(get()->access_key, "a");
  set("AWS_SHARED_CREDENTIALS_FILE", "~/c");
  EXPECT_EQ(get()->access_key, "a");
  set("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/c");
  set("AWS_CONFIG_FILE", "/nowhere/d");
  const std::string text = refusal();
  for (const std::string place : {"AWS_ACCESS_KEY_ID", "'default'", "/nowhere/c", "/nowhere/d"}) EXPECT_CONTAINS(text, place);
  variables.erase("HOME");
  EXPECT_CONTAINS(refusal(), "no credentials");
}

// An error is never read as absence.
TEST_F(CredentialsTest, a_file_that_cannot_be_read_is_an_error) {
  std::filesystem::create_directories(dir / ".aws/credentials");  // a directory instead of a file
  auto found = get();
  ASSERT_FALSE(found);
  EXPECT_CONTAINS(found.error().message, "credentials");
  EXPECT_EQ(found.error().message.find("no credentials"), std::string::npos);
}

TEST_F(CredentialsTest, rotated_keys_are_taken_up) {
  const auto a = write("a", "key"), s = write("s", "one");
  auto files = source(files_named(a, s));
  EXPECT_EQ(files.get()->secret_key, "one");
  EXPECT_EQ(files.get()->secret_key, "one");
  write("s", "three");  // other size
  EXPECT_EQ(files.get()->secret_key, "three");
  const auto time = std::filesystem::last_write_time(s);
  std::filesystem::rename(write("new", "seven"), s);  // other file, same size and time
  std::filesystem::last_write_time(s, time);
  EXPECT_EQ(files.get()->secret_key, "seven");

  write(".aws/credentials", "[default]\naws_access_key_id=a\naws_secret_access_key=s\n");
  auto shared = source();
  EXPECT_EQ(shared.get()->access_key, "a");
  write(".aws/credentials", "[default]\naws_access_key_id=bb\naws_secret_access_key=s\n");
  EXPECT_EQ(shared.get()->access_key, "bb");
  std::filesystem::remove(dir / ".aws/credentials");
  EXPECT_FALSE(shared.get());
}

TEST_F(CredentialsTest, may_be_used_from_many_threads) {
  const auto a = write("a", "key"), s = write("s", "secret");
  auto files = source(files_named(a, s));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) EXPECT_EQ(files.get()->secret_key, "secret");
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace heimdall
