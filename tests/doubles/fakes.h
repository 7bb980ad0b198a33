#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "baracuda/cuda/driver_api.h"

namespace baracuda::testing {

/// Controls of the libcuda of fake_cuda.cc: what it is and does, and what it counts. Change them at any time, from one
/// thread.
struct FakeCuda {
  struct Gpu {
    std::string name = "Fake GPU";
    int sm = 90;  ///< 10·major + minor
    std::size_t memory_bytes = std::size_t{1} << 30;
    bool has_memory_pools = true;
    int clusters = 50;  ///< of any launch, that run at the same time
    // Counted.
    std::size_t allocated_bytes = 0;
    int loaded_libraries = 0, launches = 0;
  };

  std::vector<Gpu> gpus = std::vector<Gpu>(1);
  int driver_version = 13000;
  /// A function by its exported name → what it answers from now on, in place of what it does.
  std::map<std::string, cuda::CUresult> fails;
  /// As after a fault on the device: every call but those that need no context answers this.
  cuda::CUresult lost = cuda::CUDA_SUCCESS;
  /// The next launch has this fault, and with it the device is lost.
  cuda::CUresult fault_of_next_launch = cuda::CUDA_SUCCESS;
  // Counted: what has been made and not destroyed.
  int streams = 0, events = 0, graphs = 0;
};

/// Controls of the libnvrtc of fake_nvrtc.cc, which "compiles" any text to itself.
struct FakeNvrtc {
  int major = 13, minor = 0;
  int compile_status = 0;  ///< nvrtcCompileProgram's answer
  std::string log = "ptxas info    : Used 16 registers\n";
  int compiles = 0;  ///< counted
};

}  // namespace baracuda::testing
