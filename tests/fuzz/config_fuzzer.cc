#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "app/config/config.h"

// Any bytes are a configuration, or are refused at a place in the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto no_environment = [](const std::string&) { return std::optional<std::string>(); };
  const auto config = heimdall::parse_config(text, "/nowhere/fuzz.yaml", no_environment);
  if (!config && !config.error().message.starts_with("/nowhere/fuzz.yaml:")) std::abort();
  if (config && config->buckets.empty()) std::abort();  // an accepted one has something to do
  return 0;
}
