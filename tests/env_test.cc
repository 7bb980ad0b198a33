#include "baracuda/core/env.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

namespace baracuda {
namespace {

TEST(Environment, EveryVariableIsDocumented) {
  std::set<std::string_view> names;
  for (const EnvironmentVariable& variable : environment_variables()) {
    EXPECT_TRUE(variable.name.starts_with("BARACUDA_")) << variable.name;
    EXPECT_TRUE(names.insert(variable.name).second) << variable.name;
    EXPECT_TRUE((std::set<std::string_view>{"path", "bool", "int"}.contains(variable.type))) << variable.type;
    EXPECT_TRUE(variable.description.ends_with('.')) << variable.description;
  }
}

/// Sets what is set and unsets the rest of the table, prints what the library reads, and ends the process.
[[noreturn]] void print_environment(const char* nvrtc_library, const char* verbose) {
  for (const EnvironmentVariable& variable : environment_variables()) unsetenv(std::string(variable.name).c_str());
  if (nvrtc_library) setenv("BARACUDA_NVRTC_LIBRARY", nvrtc_library, 1);
  if (verbose) setenv("BARACUDA_VERBOSE", verbose, 1);
  const Environment& environment = Environment::process();
  std::fprintf(stderr, "[%s %d]", environment.nvrtc_library.c_str(), environment.verbose);
  std::exit(0);
}

// The environment is read once a process, so each reading gets a process of its own.
TEST(EnvironmentDeathTest, IsReadFromTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto success = ::testing::ExitedWithCode(0);
  EXPECT_EXIT(print_environment(nullptr, nullptr), success, R"(\[ 0\])");
  EXPECT_EXIT(print_environment("/opt/libnvrtc.so", "on"), success, R"(\[/opt/libnvrtc.so 1\])");
}

}  // namespace
}  // namespace baracuda
