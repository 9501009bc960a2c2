#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/findings.h"

namespace heimdall {

// Counts objects by class (first path segment + extension) along a sorted listing, in bounded memory: once the listing has left a
// segment for good, its classes matter only if they are large and without a reference. Not thread-safe; one per range, merged at the end.
class ClassTally {
 public:
  enum class Kept { yes, no };

  explicit ClassTally(std::uint64_t limit) : limit_(limit) {}
  ClassTally(ClassTally&&) = default;
  ClassTally& operator=(ClassTally&&) = default;
  ClassTally(const ClassTally&) = delete;  // last_ points into segments_, whose nodes move along with it
  ClassTally& operator=(const ClassTally&) = delete;
  void add(std::string_view key, Kept kept);
  void merge(const ClassTally& other);
  // Classes of at least `limit` objects of which none is kept.
  std::vector<UnreferencedClass> unreferenced() const;

 private:
  struct Count {
    std::uint64_t objects = 0;
    std::uint64_t kept = 0;
  };
  using Segment = std::map<std::string, Count, std::less<>>;  // by extension

  // The class of the key before: neighbours in a listing mostly share it.
  struct Last {
    std::string_view segment;  // the keys of the maps below
    Segment* classes = nullptr;
    std::string_view extension;
    Count* count = nullptr;
  };

  Segment& classes_of(std::string_view key);
  void leave_segment();

  std::uint64_t limit_;
  std::map<std::string, Segment, std::less<>> segments_;
  Last last_;
  std::string current_;
  bool has_left_first_ = false;
};

}  // namespace heimdall
