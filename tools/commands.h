#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "baracuda/core/device.h"
#include "baracuda/core/result.h"
#include "baracuda/jit/jit.h"
#include "testing/case_list.h"
#include "testing/kernels.h"
#include "testing/op.h"

// The tool's commands. Each returns the exit status.

namespace baracuda::tools {

inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;   // the command was understood, and what it does failed
inline constexpr int kBadInput = 2;  // usage, or a case, op or device that there cannot be

struct InfoOptions {
  bool json = false;
};
int info(const InfoOptions& options);

struct PlansOptions {
  bool json = false, markdown = false;
  std::string page;  // an op: the table of its page instead
};
int plans(const PlansOptions& options);

struct ExplainOptions {
  std::vector<std::string> words;  // of the case
  std::string device, arch;        // one of them, or none
  bool json = false;
};
int explain(const ExplainOptions& options);

struct VerifyCommandOptions {
  std::vector<std::string> ops;  // all where empty
  std::string device, case_text;
  std::uint64_t seed = 1;
  bool quick = false, json = false;
};
int verify(const VerifyCommandOptions& options);

struct KernelsOptions {
  std::vector<std::string> cases;  // each a case, or an op's name for all its kernels; all ops where empty
  std::vector<std::string> archs;  // as parse_compile_target takes them; all classes where empty
  std::string nvrtc_version;       // keys only
  bool json = false;
};
int keys(const KernelsOptions& options);
int compile(const KernelsOptions& options);

struct WarmOptions {
  std::string list;                // a file of cases, "-" for stdin
  std::vector<std::string> archs;  // those of the device where empty
  std::string device;              // one of both, or none: the GPUs that are there
  bool json = false;
};
int warm(const WarmOptions& options);

struct PackOptions {
  std::string list, pack;
  std::vector<std::string> archs;  // all classes where empty
  bool json = false;
};
int pack(const PackOptions& options);

struct BenchCommandOptions {
  std::vector<std::string> cases_or_ops;  // an op stands for its default cases; all of them where empty
  std::string device, shapes, json;       // the last two: files
  double seconds = 20;
  std::string note;     // for the JSON: what else there is to know of the machine
  std::string command;  // as it was typed, for the JSON
};
int bench(const BenchCommandOptions& options);

struct CacheOptions {
  bool json = false;
};
int cache_info(const CacheOptions& options);
int cache_clear();

/// Prints "baracuda: error: …" to stderr and returns `status`.
int fail(std::string_view message, int status = kFailure);
/// The same for an error: bad input where the error says that the problem is invalid.
int fail(const Error& error);

using testing::find_op;
/// Those named, or all.
Result<std::vector<const testing::Op*>> find_ops(const std::vector<std::string>& names);
/// The list in a file, "-" for stdin, of which an error of whatever kind is bad input.
Result<std::vector<testing::ListedCase>> read_cases(const std::string& path);
/// A device that is there: the one named, or the default.
Result<DeviceInfo> find_device(const std::string& name);

/// "22 kernels for sm80 sm90a, 1.2 MiB, by NVRTC 13.0".
std::string describe(const KernelPackInfo& pack);
nlohmann::ordered_json to_json(const KernelPackInfo& pack);

/// What --arch names. Errors: InvalidProblem.
Result<std::vector<testing::CompileTarget>> find_compile_targets(const std::vector<std::string>& archs);

/// Rows as columns of equal width, two blanks apart.
void print_table(const std::vector<std::vector<std::string>>& rows);
std::string join(const std::vector<std::string>& words, std::string_view separator);

}  // namespace baracuda::tools
