#include "baracuda/core/env.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
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

using Variables = std::map<std::string, std::string>;

/// With these alone, prints what the library reads, and ends the process.
[[noreturn]] void print_environment(const Variables& set) {
  for (const EnvironmentVariable& variable : environment_variables()) unsetenv(std::string(variable.name).c_str());
  for (const char* name : {"HOME", "XDG_CACHE_HOME"}) unsetenv(name);
  for (const auto& [name, value] : set) setenv(name.c_str(), value.c_str(), 1);
  const Environment& environment = Environment::process();
  std::string packs;
  for (const std::string& pack : environment.kernel_packs) packs += "<" + pack + ">";
  std::fprintf(stderr, "[%s %lld %d %s %s %s %d]", environment.cache_dir.c_str(),
               static_cast<long long>(environment.cache_max_bytes), environment.jit_debug, environment.jit_dump.c_str(),
               packs.c_str(), environment.nvrtc_library.c_str(), environment.verbose);
  std::exit(0);
}

// The environment is read once a process, so each reading gets a process of its own.
TEST(EnvironmentDeathTest, IsReadFromTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto success = ::testing::ExitedWithCode(0);
  EXPECT_EXIT(print_environment({}), success, R"(\[ 1073741824 0    0\])");
  const Variables all = {{"BARACUDA_CACHE_DIR", "/fast/kernels"},
                         {"BARACUDA_CACHE_MAX_BYTES", "5000000000"},
                         {"BARACUDA_JIT_DEBUG", "1"},
                         {"BARACUDA_JIT_DUMP", "/tmp/dump"},
                         {"BARACUDA_KERNEL_PACK", ":/a b.pack::c.pack"},
                         {"BARACUDA_NVRTC_LIBRARY", "/opt/libnvrtc.so"},
                         {"BARACUDA_VERBOSE", "on"}};
  EXPECT_EQ(all.size(), environment_variables().size());
  EXPECT_EXIT(print_environment(all), success,
              R"(\[/fast/kernels 5000000000 1 /tmp/dump </a b.pack><c.pack> /opt/libnvrtc.so 1\])");
}

TEST(EnvironmentDeathTest, TheCacheIsWhereXdgSaysUnlessItIsNamed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto success = ::testing::ExitedWithCode(0);
  const Variables home = {{"HOME", "/home/a"}}, xdg = {{"HOME", "/home/a"}, {"XDG_CACHE_HOME", "/var/b"}},
                  relative_xdg = {{"HOME", "/home/a"}, {"XDG_CACHE_HOME", "b"}},
                  named = {{"XDG_CACHE_HOME", "/var/b"}, {"BARACUDA_CACHE_DIR", "relative"}},
                  empty = {{"XDG_CACHE_HOME", "/var/b"}, {"BARACUDA_CACHE_DIR", ""}};
  EXPECT_EXIT(print_environment(home), success, R"(\[/home/a/.cache/baracuda )");
  EXPECT_EXIT(print_environment(xdg), success, R"(\[/var/b/baracuda )");
  EXPECT_EXIT(print_environment(relative_xdg), success, R"(\[/home/a/.cache/baracuda )");
  EXPECT_EXIT(print_environment(named), success, R"(\[relative )");
  EXPECT_EXIT(print_environment(empty), success, R"(\[/var/b/baracuda )");
}

TEST(EnvironmentDeathTest, WhatIsNoNumberIsTheDefault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto success = ::testing::ExitedWithCode(0);
  for (const char* text : {"1G", "-1", "99999999999999999999"}) {
    const Variables set = {{"BARACUDA_CACHE_MAX_BYTES", text}};
    EXPECT_EXIT(print_environment(set), success, R"(\[ 1073741824 )") << text;
  }
  const Variables zero = {{"BARACUDA_CACHE_MAX_BYTES", "0"}};
  EXPECT_EXIT(print_environment(zero), success, R"(\[ 0 )");
}

}  // namespace
}  // namespace baracuda
