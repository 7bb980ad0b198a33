#include "baracuda/core/env.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace baracuda {
namespace {

constexpr EnvironmentVariable kVariables[] = {
    {"BARACUDA_CACHE_DIR", "path", "$XDG_CACHE_HOME/baracuda or ~/.cache/baracuda",
     "The folder that keeps compiled kernels."},
    {"BARACUDA_CACHE_MAX_BYTES", "int", "1073741824",
     "What that folder may hold; the least recently used kernels go first. 0 keeps none on disk."},
    {"BARACUDA_JIT_DEBUG", "bool", "0", "Compile kernels with line information and device asserts."},
    {"BARACUDA_JIT_DUMP", "path", "",
     "A folder for the text, the compiler's log and the code of each kernel that is used."},
    {"BARACUDA_KERNEL_PACK", "path", "",
     "Packs of compiled kernels, with : between them. They are asked before the folder and the compiler."},
    {"BARACUDA_NVRTC_LIBRARY", "path", "", "The libnvrtc to load, in place of the ones that the loader finds."},
    {"BARACUDA_VERBOSE", "bool", "0",
     "Write a line to stderr for each kernel that is compiled, and where kernels cannot be kept on disk."},
};

/// The row of that name, which does not compile for a name that has none.
consteval const EnvironmentVariable& row(std::string_view name) {
  for (const EnvironmentVariable& variable : kVariables)
    if (variable.name == name) return variable;
  throw "the table has no such variable";
}

std::string_view read(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}
bool read_bool(const EnvironmentVariable& variable) {
  const std::string_view value = value_of(variable);
  return value == "1" || value == "true" || value == "yes" || value == "on";
}

/// The default where the value is no number that is at least 0.
std::int64_t read_int(const EnvironmentVariable& variable) {
  for (const std::string_view text : {value_of(variable), variable.default_value}) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= 0) return value;
  }
  return 0;
}

/// Those between the colons.
std::vector<std::string> read_paths(const EnvironmentVariable& variable) {
  std::vector<std::string> paths;
  for (std::string_view rest = value_of(variable); !rest.empty();) {
    const std::string_view path = rest.substr(0, rest.find(':'));
    if (!path.empty()) paths.emplace_back(path);
    rest.remove_prefix(std::min(path.size() + 1, rest.size()));
  }
  return paths;
}

std::string read_cache_dir() {
  if (const std::string_view dir = value_of(row("BARACUDA_CACHE_DIR")); !dir.empty()) return std::string(dir);
  // The XDG base directory specification: a relative path is to be ignored.
  if (const std::string_view caches = read("XDG_CACHE_HOME"); caches.starts_with('/'))
    return std::string(caches) + "/baracuda";
  if (const std::string_view home = read("HOME"); home.starts_with('/')) return std::string(home) + "/.cache/baracuda";
  return {};
}

}  // namespace

const Environment& Environment::process() {
  static const Environment environment{
      .cache_dir = read_cache_dir(),
      .cache_max_bytes = read_int(row("BARACUDA_CACHE_MAX_BYTES")),
      .jit_debug = read_bool(row("BARACUDA_JIT_DEBUG")),
      .jit_dump = std::string(value_of(row("BARACUDA_JIT_DUMP"))),
      .kernel_packs = read_paths(row("BARACUDA_KERNEL_PACK")),
      .nvrtc_library = std::string(value_of(row("BARACUDA_NVRTC_LIBRARY"))),
      .verbose = read_bool(row("BARACUDA_VERBOSE")),
  };
  return environment;
}

std::span<const EnvironmentVariable> environment_variables() { return kVariables; }

// The names in the table are literals, so they end in a null character.
std::string_view value_of(const EnvironmentVariable& variable) { return read(variable.name.data()); }

}  // namespace baracuda
