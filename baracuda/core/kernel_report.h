#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace baracuda {

/// One kernel as the compiler left it.
struct KernelReport {
  std::string name;
  std::string target;  ///< "sm90a"
  int registers = 0;
  std::int64_t shared_bytes = 0;  ///< static
  std::int64_t stack_bytes = 0;
  std::int64_t spill_bytes = 0;       ///< stores plus loads, a thread
  std::vector<std::string> warnings;  ///< the compiler's C75xx lines
  double seconds = 0;                 ///< that the compiler took; 0 for a kernel of a pack
};

/// Every kernel of a plan. Empty on the CPU.
struct CompileReport {
  std::vector<KernelReport> kernels;
};

}  // namespace baracuda
