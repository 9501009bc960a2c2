#include "journal_contract.h"

#include <stdlib.h>

#include <filesystem>

#include "state/state_database.h"
#include "testing/fake_state.h"

namespace heimdall::testing {
namespace {

class Fake final : public StateUnderTest {
 public:
  explicit Fake(const FakeClock& clock) : journal_(clock), history_(clock) {}
  JournalLog& journal() override { return journal_; }
  History& history() override { return history_; }
  void crash() override { journal_.crash(); }

 private:
  FakeJournal journal_;
  FakeHistory history_;
};

class OnDisk final : public StateUnderTest {
 public:
  explicit OnDisk(const FakeClock& clock) : clock_(clock) {
    std::string name = std::filesystem::temp_directory_path() / "heimdall-contract-XXXXXX";
    base_ = mkdtemp(name.data());
    open();
  }
  ~OnDisk() override {
    database_.reset();
    std::filesystem::remove_all(base_);
  }
  JournalLog& journal() override { return *database_; }
  History& history() override { return *database_; }

  // What a killed process leaves is the files as they are now: its successor gets a copy of them, the goodbye of the old one
  // goes to the originals.
  void crash() override {
    const auto before = generation();
    ++generation_;
    std::filesystem::copy(before, generation(), std::filesystem::copy_options::recursive);
    database_.reset();
    open();
  }

 private:
  std::filesystem::path generation() const { return base_ / std::to_string(generation_); }
  void open() {
    const auto directory = StateDirectory::open(generation());
    auto opened = StateDatabase::open(directory.value(), clock_);
    EXPECT_EQ(opened.value().warning, "");
    database_ = std::move(opened.value().database);
  }

  const FakeClock& clock_;
  std::filesystem::path base_;
  int generation_ = 0;
  std::unique_ptr<StateDatabase> database_;
};

INSTANTIATE_TEST_SUITE_P(
    Journal, StateContract,
    ::testing::Values(StateKind{"fake", [](const FakeClock& clock) { return std::make_unique<Fake>(clock); }},
                      StateKind{"state_database", [](const FakeClock& clock) { return std::make_unique<OnDisk>(clock); }}),
    [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace heimdall::testing
