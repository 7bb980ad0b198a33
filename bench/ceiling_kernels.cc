#include "bench/ceiling_kernels.h"

#include <fmt/core.h>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/embedded_sources.h"

namespace baracuda::jit {

/// The files of bench/ceilings. cmake/embed_sources.cmake writes the definition.
std::span<const EmbeddedSource> embedded_ceilings();

}  // namespace baracuda::jit

namespace baracuda::bench {
namespace {

/// The library's headers, and ours.
std::span<const jit::EmbeddedSource> all_sources() {
  static const std::vector<jit::EmbeddedSource> sources = [] {
    const auto library = jit::embedded_sources(), ceilings = jit::embedded_ceilings();
    std::vector<jit::EmbeddedSource> all(library.begin(), library.end());
    all.insert(all.end(), ceilings.begin(), ceilings.end());
    return all;
  }();
  return sources;
}

/// `call` is what the entry does with its params.
jit::KernelSpec make_kernel(std::string_view file, std::string_view name, std::string_view params,
                            std::string_view launch_bounds, std::string_view call, const CodeTarget& target) {
  return {
      .name = fmt::format("bench.{}", name),
      .text = fmt::format(R"(#include "bench/ceilings/{}.cuh"
using namespace baracuda::bench;
extern "C" __global__ __launch_bounds__({})
void baracuda_kernel(const __grid_constant__ {} params) {{ {}(params); }}
)",
                          file, launch_bounds, params, call),
      .target = target,
  };
}

std::string_view enumerator(MatrixKind kind) { return kind == MatrixKind::S8 ? "S8" : "F16"; }
std::string_view stem(MatrixKind kind) { return kind == MatrixKind::S8 ? "s8" : "f16"; }

}  // namespace

jit::KernelSpec read_kernel(const CodeTarget& target) {
  return make_kernel("read", "read", "ReadParams", "ReadParams::num_threads(), ReadParams::blocks_per_multiprocessor()",
                     "read", target);
}

jit::KernelSpec bulk_copy_ring_kernel(const RingConfig& config, const CodeTarget& target) {
  const auto [stage_bytes, stages] = config;
  return make_kernel("bulk_copy_ring", fmt::format("bulk_copy_ring.{}x{}", stages, stage_bytes), "ReadParams",
                     "RingConfig::num_threads(), RingConfig::blocks_per_multiprocessor()",
                     fmt::format("bulk_copy_ring<RingConfig{{.stage_bytes = {}, .stages = {}}}>", stage_bytes, stages),
                     target);
}

jit::KernelSpec mma_rate_kernel(MatrixKind kind, const CodeTarget& target) {
  return make_kernel("mma_rate", fmt::format("mma_rate.{}", stem(kind)), "MatrixParams",
                     "MmaTile::num_threads(), MmaTile::blocks_per_multiprocessor()",
                     fmt::format("mma_rate<MatrixKind::{}>", enumerator(kind)), target);
}

jit::KernelSpec wgmma_rate_kernel(MatrixKind kind, const CodeTarget& target) {
  return make_kernel("wgmma_rate", fmt::format("wgmma_rate.{}", stem(kind)), "MatrixParams",
                     "WgmmaTile::num_threads(), 1", fmt::format("wgmma_rate<MatrixKind::{}>", enumerator(kind)),
                     target);
}

jit::KernelSpec empty_kernel(const CodeTarget& target) {
  return make_kernel("empty", "empty", "EmptyParams", "32, 1", "empty", target);
}

std::vector<jit::KernelSpec> ceiling_kernels(Arch arch) {
  const CodeTarget target = native_target(arch);
  std::vector<jit::KernelSpec> kernels = {empty_kernel(target), read_kernel(target)};
  for (MatrixKind kind : {MatrixKind::S8, MatrixKind::F16}) kernels.push_back(mma_rate_kernel(kind, target));
  if (arch == Arch::Sm90a) {
    kernels.push_back(bulk_copy_ring_kernel({}, target));
    for (MatrixKind kind : {MatrixKind::S8, MatrixKind::F16}) kernels.push_back(wgmma_rate_kernel(kind, target));
  }
  return kernels;
}

Result<jit::CompiledKernel> compile_ceiling_kernel(const jit::KernelSpec& spec) {
  BARACUDA_ASSIGN_OR_RETURN(const jit::NvrtcApi* nvrtc, jit::nvrtc());
  BARACUDA_ASSIGN_OR_RETURN(jit::CompiledKernel kernel, jit::compile(spec, *nvrtc, all_sources()));
  if (const std::string problem = kernel.resources.problem(); !problem.empty())
    return Error::backend(
        0, fmt::format("kernel {} for {} is not what it is to measure: {}", spec.name, spec.target.name(), problem));
  return kernel;
}

}  // namespace baracuda::bench
