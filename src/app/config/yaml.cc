#include "app/config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>
#include <unordered_set>
#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {
namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
// A column is counted in characters up to here and in bytes beyond, so that one endless line does not cost quadratic time.
constexpr int kLongestCountedLine = 1000;

// What the tree builder throws through the parser; caught in parse_yaml().
struct Refused {
  YamlMark mark;
  std::string message;
};

YamlMark to_mark(const YAML::Mark& mark, std::string_view source) {
  const auto line = static_cast<std::size_t>(std::max(mark.line, 0)) + 1;
  auto column = static_cast<std::size_t>(std::max(mark.column, 0));
  const auto position = static_cast<std::size_t>(std::max(mark.pos, 0));
  if (mark.column < kLongestCountedLine && column <= position && position <= source.size()) {
    const std::string_view before = source.substr(position - column, column);
    column = static_cast<std::size_t>(
        std::count_if(before.begin(), before.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
  }
  return {line, column + 1};
}

// Builds our tree from the parser's events: on this level duplicate keys, anchors and tags are still visible.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view source) : source_(source) {}

  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) refuse(mark, "a second document starts here; the configuration is one document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_decoration(mark, "", anchor);
    if (expects_key()) return begin_entry(mark, null_key(mark));
    YamlNode node;
    node.mark = to_mark(mark, source_);
    // The parser points behind an empty value, often into the next line.
    if (!stack_.empty() && stack_.back().pending) node.mark = stack_.back().pending->mark;
    add(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, kNoAliases); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    refuse_decoration(mark, tag, anchor);
    if (value.find('\0') != std::string::npos) refuse(mark, "a value cannot hold a zero byte");
    if (expects_key()) return begin_entry(mark, value);
    YamlNode node = make(YamlNode::Kind::scalar, mark);
    node.text = value;
    node.quoting = tag == "!" ? YamlNode::Quoting::quoted : YamlNode::Quoting::plain;
    add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::mapping, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  static constexpr std::string_view kNoAliases =
      "anchors (&name), aliases (*name) and merge keys (<<) are not supported; write the value out";

  // A collection that is not finished yet.
  struct Open {
    YamlNode node;
    std::optional<YamlEntry> pending;  // a key whose value comes next
    std::unordered_set<std::string> keys;
  };

  [[noreturn]] void refuse(const YAML::Mark& mark, std::string_view message) const {
    throw Refused{to_mark(mark, source_), std::string(message)};
  }

  void refuse_decoration(const YAML::Mark& mark, std::string_view tag, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor) refuse(mark, kNoAliases);
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "tags (!name) are not supported; each key has one type already");
  }

  bool expects_key() const { return !stack_.empty() && stack_.back().node.kind == YamlNode::Kind::mapping && !stack_.back().pending; }

  // YAML reads the key `null` as a null; only the source tells it from a missing key.
  std::string null_key(const YAML::Mark& mark) const {
    constexpr std::string_view kWord = "null";
    const auto position = static_cast<std::size_t>(std::max(mark.pos, 0));
    if (position > source_.size() || source_.substr(position, kWord.size()) != kWord) refuse(mark, "a key is missing here");
    return std::string(kWord);
  }

  void begin_entry(const YAML::Mark& mark, const std::string& key) {
    if (key == "<<") refuse(mark, kNoAliases);
    Open& open = stack_.back();
    if (!open.keys.insert(key).second) {
      const auto first = std::ranges::find(open.node.entries, key, &YamlEntry::key);
      refuse(mark, format("the key '{}' was given before, in line {}", printable(key), first->mark.line));
    }
    open.pending = YamlEntry{key, to_mark(mark, source_), {}};
  }

  YamlNode make(YamlNode::Kind kind, const YAML::Mark& mark) const {
    YamlNode node;
    node.kind = kind;
    node.mark = to_mark(mark, source_);
    return node;
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_decoration(mark, tag, anchor);
    if (expects_key()) refuse(mark, "a key must be a word, not a list or mapping");
    if (stack_.size() >= kMaxDepth) refuse(mark, format("nested more than {} levels deep", kMaxDepth));
    stack_.push_back(Open{make(kind, mark), std::nullopt, {}});
  }

  void close() {
    YamlNode node = std::move(stack_.back().node);
    stack_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (stack_.empty()) {
      root_ = std::move(node);
    } else if (Open& open = stack_.back(); open.node.kind == YamlNode::Kind::mapping) {
      open.pending->value = std::move(node);
      open.node.entries.push_back(std::move(*open.pending));
      open.pending.reset();
    } else {
      open.node.items.push_back(std::move(node));
    }
  }

  std::string_view source_;
  std::vector<Open> stack_;
  YamlNode root_;
  int documents_ = 0;
};

// The parser silently stops at some control characters (EOT ends its input), so none is let through.
std::optional<Refused> find_bad_byte(std::string_view source) {
  YamlMark mark;
  for (const char c : source) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t' && c != '\r') || byte == 0x7F) {
      return Refused{mark, format("the control character \\x{:02x} cannot stand in a configuration", byte)};
    }
    if (c == '\n') {
      mark = {mark.line + 1, 1};
    } else if ((byte & 0xC0U) != 0x80U) {
      ++mark.column;
    }
  }
  return std::nullopt;
}

// Where the first line that is not UTF-8 begins.
YamlMark find_bad_line(std::string_view source) {
  YamlMark mark;
  while (!source.empty()) {
    const std::size_t end = std::min(source.find('\n'), source.size());
    if (!is_utf8(source.substr(0, end))) break;
    source.remove_prefix(std::min(end + 1, source.size()));
    ++mark.line;
  }
  return mark;
}

// The parser's own words tell what it looked for; people need what is usually wrong.
std::string_view likely_cause(std::string_view message) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kCauses = {{
      {"end of map not found", "this line is indented differently from the keys it belongs to, or a list and keys are mixed"},
      {"end of sequence not found", "this line is indented differently from the list items it belongs to"},
      {"end of map flow not found", "a '{' is not closed by '}'"},
      {"end of sequence flow not found", "a '[' is not closed by ']'"},
      {"illegal map value", "a ': ' inside a value needs quotes around the value"},
      {"illegal tab when looking for indentation", "a tab is used for indentation; use blanks"},
  }};
  const auto* const found = std::ranges::find(kCauses, message, &std::pair<std::string_view, std::string_view>::first);
  return found == kCauses.end() ? message : found->second;
}

YamlNode build_tree(std::string_view source) {
  std::istringstream stream{std::string(source)};
  YAML::Parser parser(stream);
  TreeBuilder builder(source);
  // The parser takes text that it cannot attach to the document for a further one, so all are asked for.
  while (parser.HandleNextDocument(builder)) {
  }
  return builder.take_root();
}

}  // namespace

std::string at_position(std::string_view file, YamlMark mark, std::string_view message) {
  return format("{}:{}:{}: {}", file, mark.line, mark.column, message);
}

Result<YamlNode> parse_yaml(std::string_view bytes, std::string_view file) {
  const auto refused = [file](YamlMark mark, std::string_view message) {
    return Error{ErrorCode::invalid_argument, at_position(file, mark, message)};
  };
  if (bytes.size() > kMaxBytes) return refused({}, format("a configuration of {} is too large; at most 1 MiB", human_bytes(bytes.size())));
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (!is_utf8(bytes)) return refused(find_bad_line(bytes), "not UTF-8; save the file in that encoding");
  if (const auto bad = find_bad_byte(bytes)) return refused(bad->mark, bad->message);
  try {
    return build_tree(bytes);
  } catch (const Refused& error) {
    return refused(error.mark, error.message);
  } catch (const YAML::Exception& error) {
    return refused(to_mark(error.mark, bytes), format("not valid YAML: {}", likely_cause(error.msg)));
  } catch (const std::exception& error) {
    return refused({}, format("not valid YAML: {}", error.what()));
  }
}

}  // namespace heimdall
