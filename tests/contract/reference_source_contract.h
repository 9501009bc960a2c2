#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ports/reference_source.h"
#include "testing/fake_clock.h"

namespace heimdall::testing {

// What ReferenceSource promises, whatever stands behind it. Run on the fake, on SQLite and on lists, so that the fake cannot drift.
class ReferencesUnderTest {
 public:
  virtual ~ReferencesUnderTest() = default;
  // Replaces all rows. NULLs are not asked for; no value holds a line feed.
  virtual void set(const std::vector<std::string>& values) = 0;
  // A new source on the same data.
  virtual std::unique_ptr<ReferenceSource> source() = 0;
  // Another database, table or list of the same form, with other rows.
  virtual std::unique_ptr<ReferenceSource> another_source() = 0;
  // Takes the data away.
  virtual void destroy() = 0;
};

struct ReferencesKind {
  std::string name;
  std::function<std::unique_ptr<ReferencesUnderTest>(FakeClock& clock)> make;
  // A fake that is taken away is simply gone: only real sources can miss their data.
  enum class Absence { is_an_error, cannot_happen } absence = Absence::is_an_error;
};

class ReferenceSourceContract : public ::testing::TestWithParam<ReferencesKind> {
 protected:
  void SetUp() override { data_ = GetParam().make(clock_); }

  FakeClock clock_;
  std::unique_ptr<ReferencesUnderTest> data_;
};

}  // namespace heimdall::testing
