#include "baracuda/cuda/tensor_map.h"

#include <gtest/gtest.h>

#include <vector>

#include "baracuda/core/buffer.h"
#include "baracuda/jit/load.h"
#include "testing/devices.h"

namespace baracuda::cuda {
namespace {

TEST(TensorMap, WhatTheCopyEngineTakes) {
  alignas(16) char memory[32] = {};
  EXPECT_TRUE(has_tensor_map(memory, 5, 16, 16));
  EXPECT_TRUE(has_tensor_map(memory, 1, 3, 7)) << "the stride of a single row means nothing";
  EXPECT_TRUE(has_tensor_map(memory + 16, 0x7fffffff, 0x7fffffff, (std::int64_t{1} << 40) - 16));
  EXPECT_FALSE(has_tensor_map(memory + 8, 5, 16, 16));
  EXPECT_FALSE(has_tensor_map(memory, 5, 16, 24));
  EXPECT_FALSE(has_tensor_map(memory, 0, 16, 16));
  EXPECT_FALSE(has_tensor_map(memory, 5, 0, 16));
  EXPECT_FALSE(has_tensor_map(memory, std::int64_t{1} << 31, 16, 16));
  EXPECT_FALSE(has_tensor_map(memory, 5, std::int64_t{1} << 31, 16));
  EXPECT_FALSE(has_tensor_map(memory, 5, 16, std::int64_t{1} << 40));
}

class TensorMapTest : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, TensorMapTest, ::testing::ValuesIn(testing::cuda_test_devices()),
                         testing::NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TensorMapTest);

/// A box goes to shared memory, where each 4 bytes are looked at, and back into another matrix.
struct BoxParams {
  TensorMap from, to;
  unsigned* seen;  ///< the box as it lies in shared memory
  int column, row;
};
constexpr const char* kBox = R"(
#include "baracuda/core/tensor_map.h"
#include "baracuda/device/ptx/cp_async_bulk_tensor.cuh"
#include "baracuda/device/ptx/fence.cuh"
using namespace baracuda;
struct BoxParams { TensorMap from, to; unsigned* seen; int column, row; };
extern "C" __global__ void baracuda_kernel(const __grid_constant__ BoxParams params) {
  __shared__ __align__(1024) unsigned box[16 * 32];
  __shared__ ptx::Mbarrier full;
  if (threadIdx.x == 0) {
    ptx::prefetch_tensormap(&params.from);
    ptx::mbarrier_init(&full, 1);
    ptx::fence_mbarrier_init();
    ptx::mbarrier_arrive_expect_tx(&full, sizeof(box));
    ptx::cp_async_bulk_tensor_2d_shared_global(box, &params.from, params.column, params.row, &full,
                                               ptx::CachePolicy::EvictNormal);
  }
  __syncthreads();
  ptx::mbarrier_wait_parity(&full, 0);
  for (int i = threadIdx.x; i < 16 * 32; i += blockDim.x) params.seen[i] = box[i];
  ptx::fence_proxy_async_shared();
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk_tensor_2d_global_shared(&params.to, params.column, params.row, box);
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group<0>();
  }
})";

TEST_P(TensorMapTest, BoxesAreSwizzledFilledWithZerosAndClipped) {
  const Stream stream = *testing::make_stream(GetParam());
  if (stream.device_info().target.sm < 90) GTEST_SKIP() << "tensor maps need compute capability 9.0";
  const auto kernel = jit::load_kernel({"box", kBox, stream.device_info().target}, stream);
  ASSERT_TRUE(kernel) << kernel.error().message;
  for (const int element_bytes : {1, 2, 4}) {
    // The last columns and rows lie in boxes that reach beyond.
    const std::int64_t columns = 128 / element_bytes + 48 / element_bytes, rows = 21, stride = 192;
    Buffer from = *Buffer::allocate(stream, rows * stride), to = *Buffer::allocate(stream, rows * stride),
           seen = *Buffer::allocate(stream, 2048);
    std::vector<unsigned char> data(static_cast<std::size_t>(rows * stride)), back(data.size()), box(2048);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * 37 + i / 251);
    ASSERT_TRUE(from.copy_from_host(stream, data.data(), static_cast<std::int64_t>(data.size())));
    ASSERT_TRUE(to.fill(stream, 0xee));
    BoxParams params{};
    params.seen = static_cast<unsigned*>(seen.data());
    TensorMapMatrix matrix{from.data(), element_bytes, rows, columns, stride, 16};
    ASSERT_TRUE(encode_tensor_map(stream, matrix, &params.from));
    matrix.data = to.data();
    ASSERT_TRUE(encode_tensor_map(stream, matrix, &params.to));
    params.column = static_cast<int>(128 / element_bytes);
    params.row = 16;
    const auto done = launch(**kernel, stream, {.grid = {1}, .block = {128}}, &params);
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_TRUE(seen.copy_to_host(stream, box.data(), 2048));
    ASSERT_TRUE(to.copy_to_host(stream, back.data(), static_cast<std::int64_t>(back.size())) && stream.synchronize());
    for (int r = 0; r < 16; ++r)
      for (int at = 0; at < 128; ++at) {
        const bool inside = 16 + r < rows && at < 48;
        const unsigned char expected = inside ? data[static_cast<std::size_t>((16 + r) * stride + 128 + at)] : 0;
        ASSERT_EQ(box[static_cast<std::size_t>(r * 128 + ((at / 16) ^ (r % 8)) * 16 + at % 16)], expected);
      }
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t at = 0; at < stride; ++at) {
        const auto i = static_cast<std::size_t>(r * stride + at);
        const bool written = r >= 16 && at >= 128 && at < 176;
        ASSERT_EQ(back[i], written ? data[i] : 0xee) << r << ", " << at;
      }
  }
}

}  // namespace
}  // namespace baracuda::cuda
