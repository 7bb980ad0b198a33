#pragma once

#include <span>
#include <string_view>

namespace baracuda::jit {

struct EmbeddedSource {
  std::string_view name;  // as kernels include it: "baracuda/device/copy/row_copy.cuh"
  std::string_view text;
};

/// All headers that kernels may include, sorted by name. cmake/embed_sources.cmake writes the definition.
std::span<const EmbeddedSource> embedded_sources();

}  // namespace baracuda::jit
