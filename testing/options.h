#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "baracuda/core/device.h"

namespace baracuda::testing {

/// What the command line of the tests asks for. gtest_main.cc sets it before any test is made.
struct Options {
  std::optional<Device> device;  ///< --device: this one alone; unset: every device present
  bool full = false;             ///< --full: the full matrix instead of the covering set
  bool require_nvrtc = false;    ///< --require_nvrtc: what needs the compiler fails without it instead of being skipped
  std::uint64_t seed = 1;        ///< --seed: of everything random
  std::string cache_dir;         ///< --cache: where compiled kernels stay; empty: in a folder that goes at the end
};

const Options& options();
void set_options(const Options& options);

}  // namespace baracuda::testing
