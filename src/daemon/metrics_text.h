#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace heimdall {

// The labels of a sample, escaped once, however often they are written. Names come from the code, values may be any bytes. Pure value.
class MetricLabels {
 public:
  MetricLabels() = default;
  MetricLabels(std::initializer_list<std::pair<std::string_view, std::string_view>> labels);
  // name="value",name="value"
  std::string_view text() const { return text_; }

 private:
  std::string text_;
};

// Writes metrics in the Prometheus text format 0.0.4. Families and samples appear in the order in which they are added. Not thread-safe.
class MetricsText {
 public:
  enum class Type { counter, gauge, histogram };

  // Begins a family: its HELP and TYPE. What is added from here on belongs to it. Names come from the code, once each.
  void family(Type type, std::string_view name, std::string_view help);

  // A sample of the current family, a counter or a gauge. Integers keep all their digits, floats are written so that they read back as they were.
  template <std::unsigned_integral T>
  void add(const MetricLabels& labels, T value) {
    add_unsigned(labels.text(), {}, value);
  }
  void add(const MetricLabels& labels, double value);
  // The same with more labels behind.
  template <std::unsigned_integral T>
  void add(const MetricLabels& labels, const MetricLabels& more, T value) {
    add_unsigned(labels.text(), more.text(), value);
  }

  // A sample of a histogram. `bounds` are the upper bounds, growing; `counts` those of each bucket alone, the last one of what is above all bounds.
  void add_histogram(const MetricLabels& labels, std::span<const double> bounds, std::span<const std::uint64_t> counts, double sum);

  std::string take() && { return std::move(text_); }

 private:
  void add_unsigned(std::string_view labels, std::string_view more, std::uint64_t value);
  void begin_sample(std::string_view suffix, std::string_view labels, std::string_view more, std::string_view upper_bound = {});

  std::string name_;  // of the current family
  std::string text_;
};

// As a value of a sample: "3", "0.25", "1e+300", "+Inf", "NaN".
std::string metric_number(double value);

}  // namespace heimdall
