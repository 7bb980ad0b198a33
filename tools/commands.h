#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "baracuda/core/device.h"
#include "baracuda/core/result.h"
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
  std::vector<std::string> ops;    // all where empty
  std::vector<std::string> archs;  // all where empty
  std::string nvrtc_version;       // keys only
  bool json = false;
};
int keys(const KernelsOptions& options);
int compile(const KernelsOptions& options);

struct CacheOptions {
  bool json = false;
};
int cache_info(const CacheOptions& options);
int cache_clear();

/// Prints "baracuda: error: …" to stderr and returns `status`.
int fail(std::string_view message, int status = kFailure);
/// The same for an error: bad input where the error says that the problem is invalid.
int fail(const Error& error);

Result<const testing::Op*> find_op(std::string_view name);
/// Those named, or all.
Result<std::vector<const testing::Op*>> find_ops(const std::vector<std::string>& names);
/// A device that is there: the one named, or the default.
Result<DeviceInfo> find_device(const std::string& name);

/// Rows as columns of equal width, two blanks apart.
void print_table(const std::vector<std::vector<std::string>>& rows);
std::string join(const std::vector<std::string>& words, std::string_view separator);

}  // namespace baracuda::tools
