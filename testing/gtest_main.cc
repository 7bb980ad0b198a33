// The main of the test binary: our flags, then gtest's.

#include <gtest/gtest.h>

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "testing/child_process.h"
#include "testing/options.h"

namespace baracuda::testing {
namespace {

constexpr const char* kUsage =
    "unit_tests [--device cpu|cuda[:i]] [--full] [--require_nvrtc] [--seed N] [--cache DIR] [gtest's own flags]\n"
    "  --device         tests on this device alone; fails where it is absent\n"
    "  --full           the full matrix instead of the covering set\n"
    "  --require_nvrtc  fail instead of skip where kernels cannot be compiled\n"
    "  --seed           of everything random; 1 unless given\n"
    "  --cache          keeps compiled kernels there; unless given in a folder that goes at the end\n";

/// Takes our flags, "--name=value" or "--name value", out of argv and leaves the rest to gtest.
Result<Options> parse_options(int& argc, char** argv) {
  Options options;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const std::string_view name = argument.substr(0, argument.find('='));
    const bool has_value = name.size() < argument.size();
    auto value = [&]() -> std::string_view {
      if (has_value) return argument.substr(name.size() + 1);
      return i + 1 < argc ? argv[++i] : "";
    };
    if (name == "--device") {
      Result<Device> device = Device::parse(value());
      if (!device) return device.error();
      options.device = *device;
    } else if (name == "--seed") {
      const std::string_view text = value();
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), options.seed);
      if (error != std::errc() || end != text.data() + text.size())
        return Error::invalid_problem("--seed is \"" + std::string(text) + "\", expected a number ≥ 0");
    } else if (name == "--cache") {
      options.cache_dir = value();
      if (options.cache_dir.empty()) return Error::invalid_problem("--cache expects a folder");
    } else if (argument == "--full") {
      options.full = true;
    } else if (argument == "--require_nvrtc") {
      options.require_nvrtc = true;
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  argv[argc] = nullptr;
  return options;
}

Result<void> check_present(const std::optional<Device>& device) {
  if (!device) return {};
  return DeviceInfo::of(*device).transform([](const DeviceInfo&) {}).transform_error([&](const Error& error) {
    return Error::unsupported("--device " + device->name() + " was asked for: " + error.message);
  });
}

int fail(const Error& error) {
  std::fprintf(stderr, "unit_tests: error: %s\n", error.message.c_str());
  return 2;
}

/// What tests compile does not reach the user's cache, nor do they find anything there. An own folder goes at the end.
class CacheFolder {
 public:
  explicit CacheFolder(const std::string& given)
      : own_(given.empty()),
        path_(own_ ? ::testing::TempDir() + "baracuda-cache-of-tests-" + std::to_string(getpid()) : given) {
    setenv("BARACUDA_CACHE_DIR", path_.c_str(), 1);
  }
  ~CacheFolder() {
    std::error_code ignored;
    if (own_) std::filesystem::remove_all(path_, ignored);
  }

 private:
  bool own_;
  std::string path_;
};

}  // namespace
}  // namespace baracuda::testing

int main(int argc, char** argv) {
  using namespace baracuda::testing;
  if (argc > 1 && argv[1] == kChildFlag) return run_child({argv + 2, argv + argc});
  // Before gtest, which makes the parametrised tests while it starts.
  baracuda::Result<Options> options = parse_options(argc, argv);
  if (!options) return fail(options.error());
  // Before the library reads the environment.
  const CacheFolder cache_folder(options->cache_dir);
  if (const auto present = check_present(options->device); !present) return fail(present.error());
  set_options(*options);
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1) {
    const std::string_view flag = argv[1];
    if (flag != "--help") std::fprintf(stderr, "unit_tests: error: unknown argument %s\n", argv[1]);
    std::fputs(kUsage, flag == "--help" ? stdout : stderr);
    return flag == "--help" ? 0 : 2;
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(options->seed));
  return RUN_ALL_TESTS();
}
