#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/buffer.h"
#include "baracuda/core/result.h"

namespace baracuda {

/// Where a plan's scratch arrays lie in its workspace. Each is booked once by name; workspace_size() and the pointers
/// in `run` both come from here, so that they cannot disagree.
class WorkspaceLayout {
 public:
  static constexpr std::int64_t kAlignment = 256;

  /// A booked array, valid for layouts equal to the one that booked it.
  struct Slot {
    std::int64_t offset_bytes = 0;
  };

  /// Books `bytes` ≥ 0, aligned to `alignment`, a power of two up to 256. Errors: InvalidProblem where the total passes
  /// 2^63 − 1.
  Result<Slot> add(std::string_view name, std::int64_t bytes, std::int64_t alignment = kAlignment);

  /// All that was booked, from a start aligned to 256.
  std::int64_t total_bytes() const { return total_bytes_; }

  template <class T>
  T* pointer(const Workspace& workspace, Slot slot) const {
    return reinterpret_cast<T*>(static_cast<char*>(workspace.data()) + slot.offset_bytes);
  }

  /// A line per array: name, offset, bytes.
  std::string to_string() const;

 private:
  struct Entry {
    std::string name;
    std::int64_t offset_bytes, bytes;
  };
  std::vector<Entry> entries_;
  std::int64_t total_bytes_ = 0;
};

}  // namespace baracuda
