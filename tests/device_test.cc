#include "baracuda/core/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace baracuda {
namespace {

TEST(Device, NamesParseBack) {
  for (Device device : {Device::cpu(), Device::cuda(), Device::cuda(1), Device::cuda(2147483647)})
    EXPECT_EQ(Device::parse(device.name()), Result<Device>(device)) << device.name();
  EXPECT_EQ(Device::cpu().name(), "cpu");
  EXPECT_EQ(Device::cuda(3).name(), "cuda:3");
  EXPECT_EQ(Device::parse("cuda"), Result<Device>(Device::cuda(0)));
}

TEST(Device, WhatIsNoDeviceIsInvalid) {
  for (const char* text : {"", "CPU", "cpu:0", "gpu", "cuda:", "cuda:a", "cuda:1a", "cuda:-1", "cuda:+1", "cuda: 1",
                           "cuda1", " cuda", "cuda:2147483648", "cuda:99999999999999999999"}) {
    const Result<Device> device = Device::parse(text);
    ASSERT_FALSE(device) << text;
    EXPECT_EQ(device.error(),
              Error::invalid_problem("device is '" + std::string(text) + "', expected cpu, cuda or cuda:<ordinal>"));
  }
}

TEST(Device, KindAndOrdinalCount) {
  EXPECT_TRUE(Device::cpu().is_cpu() && !Device::cpu().is_cuda());
  EXPECT_TRUE(Device::cuda().is_cuda() && !Device::cuda().is_cpu());
  EXPECT_NE(Device::cpu(), Device::cuda());
  EXPECT_NE(Device::cuda(0), Device::cuda(1));
}

TEST(Arch, NamesParseBack) {
  EXPECT_EQ(name_of(Arch::Sm90a), "sm90a");
  for (Arch arch : {Arch::Cpu, Arch::Sm80, Arch::Sm89, Arch::Sm90a}) EXPECT_EQ(parse_arch(name_of(arch)), arch);
  for (const char* text : {"", "sm90", "sm_80", "CPU", "invalid"}) EXPECT_FALSE(parse_arch(text)) << text;
  for (CpuTarget target : kCpuTargets) EXPECT_EQ(parse_cpu_target(name_of(target)), target);
  for (const char* text : {"", "sse2", "AVX2", "invalid"}) EXPECT_FALSE(parse_cpu_target(text)) << text;
}

TEST(CodeTarget, IsSpeltAsInSkus) {
  EXPECT_EQ(CodeTarget::for_cpu(CpuTarget::Avx512).name(), "avx512");
  EXPECT_EQ(CodeTarget::for_cpu(CpuTarget::Avx512Vnni).name(), "avx512_vnni");
  EXPECT_EQ(CodeTarget::for_cuda(100, false).name(), "sm100");
  EXPECT_EQ(native_target(Arch::Sm80).name(), "sm80");
  EXPECT_EQ(native_target(Arch::Sm89).name(), "sm89");
  EXPECT_EQ(native_target(Arch::Sm90a).name(), "sm90a");
}

TEST(DeviceInfo, OfGpusThatNeedNotBeHere) {
  struct Row {
    DeviceInfo info;
    Arch arch;
    int sm, num_multiprocessors, shared_kib;
  };
  for (const Row& row : {Row{DeviceInfo::sm80(), Arch::Sm80, 80, 108, 163},
                         {DeviceInfo::sm89(), Arch::Sm89, 89, 142, 99},
                         {DeviceInfo::sm90a(), Arch::Sm90a, 90, 132, 227}}) {
    SCOPED_TRACE(row.info.name);
    EXPECT_EQ(row.info.device, Device::cuda(0));
    EXPECT_EQ(row.info.arch, row.arch);
    EXPECT_EQ(row.info.target, CodeTarget::for_cuda(row.sm, false));
    EXPECT_EQ(row.info.num_multiprocessors, row.num_multiprocessors);
    EXPECT_EQ(row.info.max_shared_bytes_per_block, row.shared_kib * 1024);
    EXPECT_GE(row.info.memory_bytes, std::int64_t{48} << 30);
    EXPECT_GE(row.info.l2_bytes, 40 << 20);
    EXPECT_GT(row.info.copy_bytes_per_second, 500e9);
    EXPECT_GT(row.info.int8_ops_per_second, 500e12);
  }
}

TEST(DeviceInfo, OfThisCpu) {
  const DeviceInfo cpu = DeviceInfo::cpu();
  EXPECT_EQ(cpu.device, Device::cpu());
  EXPECT_EQ(cpu.arch, Arch::Cpu);
  EXPECT_EQ(cpu.target, CodeTarget::for_cpu(available_cpu_targets().back()));
  EXPECT_GE(cpu.num_multiprocessors, 1);
  EXPECT_GT(cpu.memory_bytes, 0);
  EXPECT_GT(cpu.copy_bytes_per_second, 0);
  EXPECT_GT(cpu.int8_ops_per_second, 0);
  EXPECT_EQ(DeviceInfo::of(Device::cpu()), Result<DeviceInfo>(cpu));
}

TEST(DeviceInfo, CpuTargetsAscendFromScalar) {
  const std::vector<CpuTarget> targets = available_cpu_targets();
  EXPECT_EQ(targets.front(), CpuTarget::Scalar);
  EXPECT_TRUE(std::is_sorted(targets.begin(), targets.end()));
  EXPECT_EQ(std::adjacent_find(targets.begin(), targets.end()), targets.end());
}

TEST(DeviceInfo, OfAGpuThatIsNotThereIsAnError) {
  for (int ordinal : {-1, 1 << 20}) {
    const Result<DeviceInfo> info = DeviceInfo::of(Device::cuda(ordinal));
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind, num_cuda_devices() > 0 ? ErrorKind::InvalidProblem : ErrorKind::Unsupported);
    EXPECT_FALSE(info.error().message.empty());
  }
}

}  // namespace
}  // namespace baracuda
