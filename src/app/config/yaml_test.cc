#include "app/config/yaml.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace heimdall {
namespace {

std::string refusal(std::string_view text) {
  const Result<YamlNode> node = parse_yaml(text, "h.yaml");
  return node ? "accepted" : node.error().message;
}

TEST(Yaml, keeps_the_text_of_scalars_and_whether_they_were_quoted) {
  const YamlNode root = parse_yaml("a: 010\nb: \"no\"\nc: no\nd: |\n  two\n  lines\n", "h.yaml").value();
  ASSERT_EQ(root.kind, YamlNode::Kind::mapping);
  ASSERT_EQ(root.entries.size(), 4U);
  EXPECT_EQ(root.entries[0].value.text, "010");
  EXPECT_EQ(root.entries[0].value.quoting, YamlNode::Quoting::plain);
  EXPECT_EQ(root.entries[1].value.text, "no");
  EXPECT_EQ(root.entries[1].value.quoting, YamlNode::Quoting::quoted);
  EXPECT_EQ(root.entries[2].value.text, "no");
  EXPECT_EQ(root.entries[3].value.text, "two\nlines\n");
}

TEST(Yaml, marks_count_from_one_in_characters) {
  const YamlNode root = parse_yaml("# ü\nä: [1, {b: ö, c: x}]\n", "h.yaml").value();
  const YamlEntry& entry = root.entries.at(0);
  EXPECT_EQ(entry.mark, (YamlMark{2, 1}));
  EXPECT_EQ(entry.value.mark, (YamlMark{2, 4}));
  EXPECT_EQ(entry.value.items.at(1).entries.at(1).mark, (YamlMark{2, 15}));
}

TEST(Yaml, an_empty_value_points_at_its_key) {
  const YamlNode root = parse_yaml("a:\nb: ~\n", "h.yaml").value();
  EXPECT_EQ(root.entries.at(0).value.kind, YamlNode::Kind::null);
  EXPECT_EQ(root.entries.at(0).value.mark, (YamlMark{1, 1}));
  EXPECT_EQ(root.entries.at(1).value.mark, (YamlMark{2, 1}));
}

TEST(Yaml, the_key_null_is_a_word) {
  const YamlNode root = parse_yaml("x: {null: true}\n", "h.yaml").value();
  EXPECT_EQ(root.entries.at(0).value.entries.at(0).key, "null");
  EXPECT_EQ(refusal("~: 1\n"), "h.yaml:1:1: a key is missing here");
}

// The parser itself lets the first of two equal keys win: `grace: 72h` and a later `grace: 1h` would be a trap either way.
TEST(Yaml, refuses_a_key_given_twice) {
  EXPECT_EQ(refusal("grace: 72h\nmode: report\ngrace: 1h\n"), "h.yaml:3:1: the key 'grace' was given before, in line 1");
  EXPECT_EQ(refusal("a: {b: 1, \"b\": 2}\n"), "h.yaml:1:11: the key 'b' was given before, in line 1");
}

TEST(Yaml, refuses_anchors_aliases_merge_keys_and_tags) {
  constexpr std::string_view kAliases = "anchors (&name), aliases (*name) and merge keys (<<) are not supported; write the value out";
  EXPECT_EQ(refusal("a: &x 1\nb: 2\n"), "h.yaml:1:4: " + std::string(kAliases));
  EXPECT_EQ(refusal("a: &x {b: 1}\nc: *x\n"), "h.yaml:1:4: " + std::string(kAliases));
  EXPECT_EQ(refusal("a: &x [1]\n"), "h.yaml:1:4: " + std::string(kAliases));
  EXPECT_EQ(refusal("a: 1\n<<: {b: 2}\n"), "h.yaml:2:1: " + std::string(kAliases));
  EXPECT_EQ(refusal("a: !!int 5\n"), "h.yaml:1:4: tags (!name) are not supported; each key has one type already");
  EXPECT_EQ(refusal("a: !mine {b: 1}\n"), "h.yaml:1:4: tags (!name) are not supported; each key has one type already");
}

TEST(Yaml, refuses_a_second_document) {
  constexpr std::string_view kSecond = "a second document starts here; the configuration is one document";
  EXPECT_EQ(refusal("a: 1\n---\nb: 2\n"), "h.yaml:2:1: " + std::string(kSecond));
  EXPECT_EQ(refusal("a: 1\n...\nrubbish\n"), "h.yaml:3:1: " + std::string(kSecond));
  EXPECT_EQ(refusal("---\na: 1\n...\n"), "accepted");
}

TEST(Yaml, accepts_byte_order_marks_and_windows_line_ends) {
  const YamlNode root = parse_yaml(
                            "\xEF\xBB\xBF"
                            "a: 1\r\nb: 2\r\n",
                            "h.yaml")
                            .value();
  EXPECT_EQ(root.entries.at(0).mark, (YamlMark{1, 1}));
  EXPECT_EQ(root.entries.at(1).mark, (YamlMark{2, 1}));
  EXPECT_EQ(root.entries.at(1).value.text, "2");
}

TEST(Yaml, refuses_bytes_that_are_not_utf8) {
  EXPECT_EQ(refusal("a: 1\nb: \xFF\n"), "h.yaml:2:1: not UTF-8; save the file in that encoding");
  EXPECT_EQ(refusal("\xFF\xFE"
                    "a"),
            "h.yaml:1:1: not UTF-8; save the file in that encoding");
}

// The parser takes \x04 for the end of the file and would drop what follows.
TEST(Yaml, refuses_control_characters) {
  EXPECT_EQ(refusal("a: 1\nb: \x04\nc: 2\n"), "h.yaml:2:4: the control character \\x04 cannot stand in a configuration");
  EXPECT_EQ(refusal(std::string_view("a\0:", 3)), "h.yaml:1:2: the control character \\x00 cannot stand in a configuration");
  EXPECT_EQ(refusal("a: \"\\0\"\n"), "h.yaml:1:4: a value cannot hold a zero byte");
}

TEST(Yaml, refuses_deep_nesting_and_large_files) {
  EXPECT_EQ(refusal(std::string(32, '[') + std::string(32, ']')), "accepted");
  EXPECT_EQ(refusal(std::string(33, '[') + std::string(33, ']')), "h.yaml:1:33: nested more than 32 levels deep");
  EXPECT_NE(refusal(std::string(100'000, '[')), "accepted");
  EXPECT_EQ(refusal(std::string(2U << 20U, ' ')), "h.yaml:1:1: a configuration of 2.0 MiB is too large; at most 1 MiB");
}

TEST(Yaml, says_what_is_usually_wrong) {
  EXPECT_EQ(refusal("a: 1\n- b\n"),
            "h.yaml:2:1: not valid YAML: this line is indented differently from the keys it belongs to, or a list and keys are mixed");
  EXPECT_EQ(refusal("a: {b: 1\n"), "h.yaml:2:1: not valid YAML: a '{' is not closed by '}'");
  EXPECT_EQ(refusal("a: b: c\n"), "h.yaml:1:5: not valid YAML: a ': ' inside a value needs quotes around the value");
  EXPECT_EQ(refusal("a: 1\n\tb: 2\n"), "h.yaml:2:1: not valid YAML: a tab is used for indentation; use blanks");
  EXPECT_EQ(refusal("? [a]\n: 1\n"), "h.yaml:1:3: a key must be a word, not a list or mapping");
}

TEST(Yaml, an_empty_file_is_null) {
  EXPECT_EQ(parse_yaml("# nothing\n", "h.yaml").value().kind, YamlNode::Kind::null);
  EXPECT_EQ(parse_yaml("", "h.yaml").value().kind, YamlNode::Kind::null);
}

RC_GTEST_PROP(Yaml, any_bytes_are_read_or_refused_but_never_throw, (std::vector<std::string> words)) {
  constexpr std::string_view kPieces[] = {"a", ": ", "\n", "- ", "  ", "{", "}", "[",     "]", "\"",
                                          "'", "|",  "&x", "*x", "!",  "#", "?", "---\n", ",", "%"};
  std::string text;
  for (const std::string& word : words) {
    text += kPieces[word.size() % std::size(kPieces)];
    if (word.size() % 7 == 0) text += word;
  }
  const Result<YamlNode> node = parse_yaml(text, "h.yaml");
  const bool has_place = node || node.error().message.starts_with("h.yaml:");
  RC_ASSERT(has_place);  // the macro itself would evaluate both sides of ||
}

}  // namespace
}  // namespace heimdall
