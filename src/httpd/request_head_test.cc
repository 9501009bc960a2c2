#include "httpd/request_head.h"

#include <gmock/gmock.h>

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// As libmicrohttpd leaves it: "|" stands for NUL.
std::string there(std::string text) {
  for (char& c : text) {
    if (c == '|') c = '\0';
  }
  return text;
}

TEST(ReadHeadTest, finds_each_line_in_its_place) {
  const std::string head = there("GET|/a||b=c|HTTP/1.1||Host| here||Empty|||A|b ||||");
  const auto lines = read_head(head, "/a?xb=c");
  ASSERT_TRUE(lines);
  EXPECT_THAT(*lines, ElementsAre(Pair("Host", " here"), Pair("Empty", ""), Pair("A", "b ")));
}

TEST(ReadHeadTest, takes_a_head_without_headers) {
  const auto lines = read_head(there("GET|/|HTTP/1.0||||"), "/");
  ASSERT_TRUE(lines);
  EXPECT_TRUE(lines->empty());
}

TEST(ReadHeadTest, refuses_what_does_not_tile) {
  for (const char* head : {
           "GET|/|HTTP/1.1|||",                     // the first line ended in a bare LF
           "GET|/|HTTP/1.1||A|b|||",                // a header did
           "GET|/|HTTP/1.1||A|b|C|d||||",           // the one before another did, or a NUL was sent
           "GET|/|HTTP/1.1||A|b|| c||||",           // goes on in the next line
           "GET|/|HTTP/1.1|||||b|| c||||",          // as 0.9.75 leaves such a name
           "GET|/|HTTP/1.1||A |b||||",              // a blank before the colon
           "GET|/|HTTP/1.1|| A|b||||",              //
           "GET|/|HTTP/1.1|||b||||",                // no name
           "GET|/|HTTP/1.1||A(|b||||",              //
           "GET| /|HTTP/1.1||A|b||||",              // two blanks before the target
           "GET|/||HTTP/1.1||A|b||||",              // a NUL behind the target
           "GET|/x|HTTP/1.1||A|b||||",              // another target
           "G(T|/|HTTP/1.1||A|b||||",               //
           "|/|HTTP/1.1||A|b||||",                  //
           "GET|/|HTTP/2.0||A|b||||",               //
           "GET|/|HTTP/1.1||A|b||",                 // no end
           "GET|/|HTTP/1.1||A|b",                   //
           "GET|/|HTTP/1.1||A|b||||x",              // something behind it
           "GET|/|", "GET|", "GET", "", "|", "||",  //
       }) {
    EXPECT_FALSE(read_head(there(head), "/")) << head;
  }
}

std::variant<RequestHead, Refusal> judged(const HeaderLines& lines, HttpVersion version = HttpVersion::http_1_1,
                                          const std::optional<std::string>& authority = std::nullopt) {
  return judge_head(lines, version, authority);
}

std::string why(const std::variant<RequestHead, Refusal>& verdict) {
  const Refusal* const refusal = std::get_if<Refusal>(&verdict);
  return refusal == nullptr ? "" : std::string(refusal->why);
}

TEST(JudgeHeadTest, joins_headers_by_their_lower_case_names) {
  const auto verdict = judged({{"Host", " here:80 "}, {"X-a", "1"}, {"x-A", "\t2"}, {"Content-Length", "17"}});
  ASSERT_TRUE(std::holds_alternative<RequestHead>(verdict)) << why(verdict);
  const auto& head = std::get<RequestHead>(verdict);
  EXPECT_THAT(head.headers, ElementsAre(Pair("content-length", "17"), Pair("host", "here:80"), Pair("x-a", "1, 2")));
  EXPECT_EQ(head.content_length, 17U);
  EXPECT_FALSE(head.chunked);
}

TEST(JudgeHeadTest, takes_one_chunked_body) {
  const auto verdict = judged({{"Host", "h"}, {"Transfer-Encoding", "Chunked"}});
  ASSERT_TRUE(std::holds_alternative<RequestHead>(verdict));
  EXPECT_TRUE(std::get<RequestHead>(verdict).chunked);
}

TEST(JudgeHeadTest, refuses_a_body_without_one_clear_end) {
  for (const char* length : {"", "-1", "+1", "1x", "0x1", "1, 1", "1 1", "99999999999999999999999"}) {
    EXPECT_EQ(why(judged({{"Host", "h"}, {"Content-Length", length}})), "Content-Length is no number") << length;
  }
  EXPECT_EQ(why(judged({{"Host", "h"}, {"Content-Length", "1"}, {"content-length", "1"}})), "several Content-Lengths");
  EXPECT_EQ(why(judged({{"Host", "h"}, {"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}})), "Content-Length with Transfer-Encoding");
  EXPECT_EQ(why(judged({{"Host", "h"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}})), "several Transfer-Encodings");
  for (const char* encoding : {"", "gzip", "gzip, chunked", "chunked, chunked", "xchunked", "identity"}) {
    EXPECT_NE(why(judged({{"Host", "h"}, {"Transfer-Encoding", encoding}})), "") << encoding;
  }
  EXPECT_EQ(why(judged({{"Transfer-Encoding", "chunked"}}, HttpVersion::http_1_0)), "Transfer-Encoding in HTTP/1.0");
}

TEST(JudgeHeadTest, wants_one_host_that_is_one) {
  EXPECT_EQ(why(judged({})), "HTTP/1.1 without a Host");
  EXPECT_EQ(why(judged({}, HttpVersion::http_1_0)), "");
  EXPECT_EQ(why(judged({{"Host", "a"}, {"Host", "a"}})), "several Hosts");
  EXPECT_EQ(why(judged({{"Host", "a"}, {"Host", "a"}}, HttpVersion::http_1_0)), "several Hosts");
  for (const char* host : {"", " ", "a b", "a/b", "a@b", "a,b", "a?b", "a#b", "a\\b", "http://a/"}) EXPECT_EQ(why(judged({{"Host", host}})), "Host is no host") << host;
  EXPECT_EQ(why(judged({{"Host", "A:80"}}, HttpVersion::http_1_1, "a:80")), "");
  EXPECT_NE(why(judged({{"Host", "a"}}, HttpVersion::http_1_1, "b")), "");
  EXPECT_EQ(why(judged({{"Host", "[::1]:8001"}})), "");
}

TEST(JudgeHeadTest, refuses_control_characters) {
  for (const char* value : {"a\rb", "a\nb", "\x01", "\x7f", "a\x1b[0m"}) EXPECT_EQ(why(judged({{"Host", "h"}, {"A", value}})), "a header has a control character") << value;
  EXPECT_EQ(why(judged({{"Host", "h"}, {"A", "a\tb\xc3\xa9"}})), "");
}

}  // namespace
}  // namespace heimdall
