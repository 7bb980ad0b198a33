#include "baracuda/plan/workspace_layout.h"

#include <fmt/core.h>

#include <cassert>

namespace baracuda {

Result<WorkspaceLayout::Slot> WorkspaceLayout::add(std::string_view name, std::int64_t bytes, std::int64_t alignment) {
  assert(bytes >= 0 && alignment > 0 && alignment <= kAlignment && (alignment & (alignment - 1)) == 0);
  std::int64_t offset, end;
  if (__builtin_add_overflow(total_bytes_, alignment - 1, &offset) ||
      __builtin_add_overflow(offset &= -alignment, bytes, &end))
    return Error::invalid_problem(
        fmt::format("workspace: {} of {} bytes takes the total past 2^63 bytes", name, bytes));
  entries_.push_back({std::string(name), offset, bytes});
  total_bytes_ = end;
  return Slot{offset};
}

std::string WorkspaceLayout::to_string() const {
  std::string text;
  for (const Entry& entry : entries_)
    text += fmt::format("{} at {}, {} bytes\n", entry.name, entry.offset_bytes, entry.bytes);
  return text;
}

}  // namespace baracuda
