#include "baracuda/core/env.h"

#include <cstdlib>

namespace baracuda {
namespace {

constexpr EnvironmentVariable kVariables[] = {
    {"BARACUDA_NVRTC_LIBRARY", "path", "", "The libnvrtc to load, in place of the ones that the loader finds."},
    {"BARACUDA_VERBOSE", "bool", "0", "Write a line to stderr for each kernel that is compiled."},
};

std::string_view read(std::string_view name) {
  // The names in the table are literals, so they end in a null character.
  const char* value = std::getenv(name.data());
  return value ? value : "";
}

bool is_true(std::string_view value) { return value == "1" || value == "true" || value == "yes" || value == "on"; }

}  // namespace

const Environment& Environment::process() {
  static const Environment environment{
      .nvrtc_library = std::string(read(kVariables[0].name)),
      .verbose = is_true(read(kVariables[1].name)),
  };
  return environment;
}

std::span<const EnvironmentVariable> environment_variables() { return kVariables; }

}  // namespace baracuda
