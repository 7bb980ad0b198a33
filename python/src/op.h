#pragma once

#include <cstddef>
#include <span>

#include "baracuda/capi/baracuda_c.h"

namespace baracuda::python {

/// What a member of a C struct holds (baracuda/capi/baracuda_c.h).
enum class Kind { Flag, Integer, Real, Dims, Name, View };

inline constexpr std::size_t kNoFlag = static_cast<std::size_t>(-1);

/// A member of a descriptor's, the preference's or an args' C struct.
struct Member {
  const char* name;
  Kind kind;
  std::size_t offset;
  std::size_t flag_offset;  ///< of has_NAME, or kNoFlag
  bool is_written;          ///< a view that the plan writes
};

/// An op of the C ABI, with its structs as bytes.
struct Op {
  const char* name;
  const char* class_name;
  std::span<const Member> fields;
  std::span<const Member> args;
  std::size_t descriptor_bytes;
  std::size_t args_bytes;
  baracuda_status (*init_descriptor)(void* descriptor, std::size_t struct_size);
  baracuda_status (*select)(const baracuda_stream* stream, const void* descriptor,
                            const baracuda_preference* preference, baracuda_plan** plan);
  baracuda_status (*bind)(const baracuda_plan* plan, const void* args, baracuda_call** call);
};

extern const std::span<const Op> kOps;
/// Of baracuda_preference.
extern const std::span<const Member> kPreferenceMembers;

}  // namespace baracuda::python
