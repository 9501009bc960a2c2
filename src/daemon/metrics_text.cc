#include "daemon/metrics_text.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/format.h"

namespace heimdall {

namespace {

// All integers up to here are doubles of their own.
constexpr double kExactIntegers = 9007199254740992.0;

void append_escaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '"': out += "\\\""; break;
      case '\n': out += "\\n"; break;
      default: out += c;
    }
  }
}

// HELP texts escape no quotes.
void append_help(std::string& out, std::string_view help) {
  for (const char c : help) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      default: out += c;
    }
  }
}

// The longest number: "-1.7976931348623157e+308".
constexpr std::size_t kNumberBytes = 32;

char* write_number(char* at, std::uint64_t value) {
  const fmt::format_int text(value);
  return std::copy_n(text.data(), text.size(), at);
}

char* write_number(char* at, double value) {
  const auto literally = [at](std::string_view text) { return std::copy_n(text.data(), text.size(), at); };
  if (std::isnan(value)) return literally("NaN");
  if (std::isinf(value)) return literally(value > 0 ? "+Inf" : "-Inf");
  if (value >= 0 && value <= kExactIntegers && value == std::floor(value)) return write_number(at, static_cast<std::uint64_t>(value));
  return fmt::format_to(at, "{}", value);
}

constexpr std::string_view type_name(MetricsText::Type type) {
  switch (type) {
    case MetricsText::Type::counter: return "counter";
    case MetricsText::Type::gauge: return "gauge";
    case MetricsText::Type::histogram: return "histogram";
  }
  return "untyped";
}

}  // namespace

MetricLabels::MetricLabels(std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
  for (const auto& [name, value] : labels) {
    if (!text_.empty()) text_ += ',';
    text_ += name;
    text_ += "=\"";
    append_escaped(text_, value);
    text_ += '"';
  }
}

void MetricsText::make_room(std::size_t bytes) {
  if (text_.size() - written_ < bytes) text_.resize(std::max(2 * text_.size(), written_ + bytes));
}

void MetricsText::put(std::string_view text) {
  written_ += text.copy(text_.data() + written_, text.size());  // an empty one may point nowhere
}

void MetricsText::put(std::uint64_t value) {
  char* const at = text_.data() + written_;
  written_ += static_cast<std::size_t>(write_number(at, value) - at);
}

void MetricsText::put(double value) {
  char* const at = text_.data() + written_;
  written_ += static_cast<std::size_t>(write_number(at, value) - at);
}

void MetricsText::family(Type type, std::string_view name, std::string_view help) {
  name_ = name;
  std::string lines = "# HELP " + name_ + ' ';
  append_help(lines, help);
  lines += "\n# TYPE " + name_ + ' ';
  lines += type_name(type);
  lines += '\n';
  make_room(lines.size());
  put(lines);
}

// Leaves room for the value and the end of the line.
void MetricsText::begin_sample(std::string_view suffix, std::string_view labels, std::string_view more, std::string_view upper_bound) {
  constexpr std::size_t kBetween = 16;  // {,,le=""}
  make_room(name_.size() + suffix.size() + labels.size() + more.size() + upper_bound.size() + kBetween + kNumberBytes);
  put(name_);
  put(suffix);
  std::string_view before = "{";
  for (const std::string_view part : {labels, more}) {
    if (part.empty()) continue;
    put(std::exchange(before, ","));
    put(part);
  }
  if (!upper_bound.empty()) {
    put(std::exchange(before, ","));
    put("le=\"");
    put(upper_bound);
    put("\"");
  }
  put(before == "{" ? " " : "} ");
}

void MetricsText::add_unsigned(std::string_view labels, std::string_view more, std::uint64_t value) {
  begin_sample({}, labels, more);
  put(value);
  put("\n");
}

void MetricsText::add(const MetricLabels& labels, double value) {
  begin_sample({}, labels.text(), {});
  put(value);
  put("\n");
}

void MetricsText::add_histogram(const MetricLabels& labels, std::span<const double> bounds, std::span<const std::uint64_t> counts, double sum) {
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    seen += counts[i];
    begin_sample("_bucket", labels.text(), {}, i < bounds.size() ? metric_number(bounds[i]) : "+Inf");
    put(seen);
    put("\n");
  }
  begin_sample("_sum", labels.text(), {});
  put(sum);
  put("\n");
  begin_sample("_count", labels.text(), {});
  put(seen);
  put("\n");
}

std::string MetricsText::take() && {
  text_.resize(written_);
  return std::move(text_);
}

std::string metric_number(double value) {
  std::array<char, kNumberBytes> text{};
  return std::string(text.data(), write_number(text.data(), value));
}

}  // namespace heimdall
