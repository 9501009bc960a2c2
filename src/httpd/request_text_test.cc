#include "httpd/request_text.h"

#include <gmock/gmock.h>

#include "base/text.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::testing::Pair;

TEST(PercentDecodedTest, gives_the_bytes_that_are_meant) {
  EXPECT_THAT(percent_decoded("a%2Fb%20%c3%A9+", PlusSign::literal), Optional(std::string("a/b \xc3\xa9+")));
  EXPECT_THAT(percent_decoded("a+b", PlusSign::space), Optional(std::string("a b")));
  EXPECT_THAT(percent_decoded("%252F", PlusSign::literal), Optional(std::string("%2F")));
}

TEST(PercentDecodedTest, leaves_bytes_that_are_no_utf8_as_they_are) {
  EXPECT_THAT(percent_decoded("%ff\xfe", PlusSign::literal), Optional(std::string("\xff\xfe")));
}

TEST(PercentDecodedTest, refuses_what_is_no_escape) {
  for (const char* text : {"%", "%4", "a%4", "%zz", "%4z", "%z4", "%-1", "% 1", "%00", "a%00b"}) {
    EXPECT_EQ(percent_decoded(text, PlusSign::literal), std::nullopt) << text;
  }
}

TEST(ParseTargetTest, splits_path_and_query_before_it_decodes) {
  const auto target = parse_target("/a%3Fb/c%26?x=1%3D2&y&x=3&&z=%26+a=b");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a?b/c&");
  EXPECT_THAT(target->query, ElementsAre(Pair("x", "3"), Pair("y", ""), Pair("z", "& a=b")));
  EXPECT_EQ(target->authority, std::nullopt);
}

TEST(ParseTargetTest, keeps_dots_and_double_slashes) {
  EXPECT_EQ(parse_target("//a/../b/.")->path, "//a/../b/.");
}

TEST(ParseTargetTest, takes_the_absolute_form) {
  const auto target = parse_target("http://Host:8001/a?b=c");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a");
  EXPECT_THAT(target->authority, Optional(Eq("Host:8001")));
  EXPECT_THAT(target->query, ElementsAre(Pair("b", "c")));
  EXPECT_EQ(parse_target("http://host")->path, "/");
  const auto without_path = parse_target("http://host?b=c");
  ASSERT_TRUE(without_path);
  EXPECT_EQ(without_path->path, "/");
  EXPECT_THAT(without_path->query, ElementsAre(Pair("b", "c")));
}

TEST(ParseTargetTest, refuses_other_forms) {
  for (const char* text : {"", "*", "host:80", "a", "?a=b", "http://", "http:///a", "https://host/", "ftp://host/", "/a b", "/a\tb", "/a\x01", "/a\x7f", "/a#b", "/%00",
                           "/%", "/a?%zz", "/a?b=%00"}) {
    EXPECT_FALSE(parse_target(text)) << text;
  }
  EXPECT_FALSE(parse_target(std::string_view("/a\0b", 4)));
}

TEST(ParseListenTest, reads_names_and_addresses) {
  EXPECT_EQ(parse_listen("127.0.0.1:8001").value(), (ListenAddress{"127.0.0.1", 8001}));
  EXPECT_EQ(parse_listen("[::1]:0").value(), (ListenAddress{"::1", 0}));
  EXPECT_EQ(parse_listen("localhost:65535").value(), (ListenAddress{"localhost", 65535}));
}

TEST(ParseListenTest, says_what_is_wrong) {
  const auto why = [](std::string_view text) {
    const auto parsed = parse_listen(text);
    return parsed ? "nothing" : parsed.error().message;
  };
  EXPECT_THAT(why("localhost"), HasSubstr("it has no port"));
  EXPECT_THAT(why(""), HasSubstr("it has no port"));
  EXPECT_THAT(why(":8001"), HasSubstr("it has no host"));
  EXPECT_THAT(why("::1:8001"), HasSubstr("in brackets"));
  EXPECT_THAT(why("[::1:8001"), HasSubstr("in brackets"));
  EXPECT_THAT(why("[localhost]:8001"), HasSubstr("only an IPv6 address"));
  EXPECT_THAT(why("a b:1"), HasSubstr("no host has"));
  for (const char* text : {"a:", "a:65536", "a:-1", "a:+1", "a:1x", "a: 1", "a:99999999999999999999"}) EXPECT_THAT(why(text), HasSubstr("from 0 to 65535")) << text;
  EXPECT_EQ(parse_listen("x").error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(parse_listen("x").error().hint, HasSubstr("127.0.0.1:8001"));
}

}  // namespace
}  // namespace heimdall
