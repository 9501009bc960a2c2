#include "daemon/metrics_text.h"

#include <cmath>
#include <iterator>

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

void append_number(std::string& out, std::uint64_t value) {
  const fmt::format_int text(value);
  out.append(text.data(), text.size());
}

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (value >= 0 && value <= kExactIntegers && value == std::floor(value)) {
    append_number(out, static_cast<std::uint64_t>(value));
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
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

void MetricsText::family(Type type, std::string_view name, std::string_view help) {
  name_ = name;
  text_ += "# HELP ";
  text_ += name;
  text_ += ' ';
  append_help(text_, help);
  text_ += "\n# TYPE ";
  text_ += name;
  text_ += ' ';
  text_ += type_name(type);
  text_ += '\n';
}

void MetricsText::begin_sample(std::string_view suffix, std::string_view labels, std::string_view more, std::string_view upper_bound) {
  text_ += name_;
  text_ += suffix;
  if (!labels.empty() || !more.empty() || !upper_bound.empty()) {
    char before = '{';
    for (const std::string_view part : {labels, more}) {
      if (part.empty()) continue;
      text_ += std::exchange(before, ',');
      text_ += part;
    }
    if (!upper_bound.empty()) {
      text_ += before;
      text_ += "le=\"";
      text_ += upper_bound;
      text_ += '"';
    }
    text_ += '}';
  }
  text_ += ' ';
}

void MetricsText::add_unsigned(std::string_view labels, std::string_view more, std::uint64_t value) {
  begin_sample({}, labels, more);
  append_number(text_, value);
  text_ += '\n';
}

void MetricsText::add(const MetricLabels& labels, double value) {
  begin_sample({}, labels.text(), {});
  append_number(text_, value);
  text_ += '\n';
}

void MetricsText::add_histogram(const MetricLabels& labels, std::span<const double> bounds, std::span<const std::uint64_t> counts, double sum) {
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    seen += counts[i];
    begin_sample("_bucket", labels.text(), {}, i < bounds.size() ? metric_number(bounds[i]) : "+Inf");
    append_number(text_, seen);
    text_ += '\n';
  }
  begin_sample("_sum", labels.text(), {});
  append_number(text_, sum);
  text_ += '\n';
  begin_sample("_count", labels.text(), {});
  append_number(text_, seen);
  text_ += '\n';
}

std::string metric_number(double value) {
  std::string text;
  append_number(text, value);
  return text;
}

}  // namespace heimdall
