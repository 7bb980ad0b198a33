#include "baracuda/core/device.h"

#include <charconv>

namespace baracuda {
namespace {

DeviceInfo gpu(const char* name, Arch arch, int num_multiprocessors, std::int64_t memory_bytes, std::int64_t l2_bytes,
               int max_shared_bytes_per_block, double copy_bytes_per_second, double int8_ops_per_second) {
  return {name,
          Device::cuda(),
          arch,
          CodeTarget::for_cuda(native_target(arch).sm, false),
          num_multiprocessors,
          memory_bytes,
          l2_bytes,
          max_shared_bytes_per_block,
          copy_bytes_per_second,
          int8_ops_per_second};
}

}  // namespace

std::string Device::name() const { return is_cpu() ? "cpu" : "cuda:" + std::to_string(ordinal); }

Result<Device> Device::parse(std::string_view text) noexcept try {
  if (text == "cpu") return Device::cpu();
  if (text == "cuda") return Device::cuda();
  constexpr std::string_view kPrefix = "cuda:";
  int ordinal = 0;
  const std::string_view digits = text.substr(text.starts_with(kPrefix) ? kPrefix.size() : text.size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || ordinal < 0)
    return Error::invalid_problem("device is '" + std::string(text) + "', expected cpu, cuda or cuda:<ordinal>");
  return Device::cuda(ordinal);
} catch (...) {
  return internal::thrown_error("Device::parse");
}

// Figures: NVIDIA's A100 80 GB and L40S data sheets, 0.87 of their bandwidth for a copy; the H200 as measured
// (design.md).
DeviceInfo DeviceInfo::sm80() {
  return gpu("NVIDIA A100-SXM4-80GB", Arch::Sm80, 108, std::int64_t{80} << 30, std::int64_t{40} << 20, 163 << 10,
             0.87 * 2039e9, 624e12);
}
DeviceInfo DeviceInfo::sm89() {
  return gpu("NVIDIA L40S", Arch::Sm89, 142, std::int64_t{48} << 30, std::int64_t{96} << 20, 99 << 10, 0.87 * 864e9,
             733e12);
}
DeviceInfo DeviceInfo::sm90a() {
  return gpu("NVIDIA H200", Arch::Sm90a, 132, std::int64_t{141} << 30, std::int64_t{60} << 20, 227 << 10, 4297e9,
             1907e12);
}

CodeTarget code_target(const DeviceInfo& device, Arch arch) {
  const CodeTarget own = native_target(arch);
  const int sm = device.target.sm;
  const bool loads = own.arch_specific ? sm == own.sm : sm / 10 == own.sm / 10 && sm >= own.sm;
  return loads ? own : CodeTarget::for_cuda(sm, false);
}

}  // namespace baracuda
