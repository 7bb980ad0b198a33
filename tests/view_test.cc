#include "baracuda/core/view.h"

#include <gtest/gtest.h>

#include <limits>

namespace baracuda {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(ContiguousBytes, CountsWholeBlocks) {
  EXPECT_EQ(contiguous_bytes(Element::F32, {}), 4u);
  EXPECT_EQ(contiguous_bytes(Element::F32, {2, 3}), 24u);
  EXPECT_EQ(contiguous_bytes(Element::S4, {3, 3}), 5u);  // rows are not padded to bytes
  EXPECT_EQ(contiguous_bytes(Element::B1, {17}), 3u);
  EXPECT_EQ(contiguous_bytes(Element::Q4_0, {2, 64}), 72u);
  EXPECT_EQ(contiguous_bytes(Element::F32, {3, 0}), 0u);
  EXPECT_EQ(contiguous_bytes(Element::U8, {kMax}), std::uint64_t{kMax});
}

TEST(ContiguousBytes, IsNothingWhereThereIsNoSuchTensor) {
  EXPECT_EQ(contiguous_bytes(Element::F32, {-1}), 0u);
  EXPECT_EQ(contiguous_bytes(Element::F32, {2, -1}), 0u);
  EXPECT_EQ(contiguous_bytes(Element::U8, {kMax, 2}), 0u);
  EXPECT_EQ(contiguous_bytes(Element::F32, {std::int64_t{1} << 61}), 0u);
  EXPECT_EQ(contiguous_bytes(static_cast<Element>(200), {1}), 0u);
}

TEST(View, OfATypedPointerIsContiguousAndBounded) {
  float data[6];
  const TensorMut view = TensorMut::of(data, {2, 3}, Device::cpu());
  EXPECT_EQ(view.data, data);
  EXPECT_EQ(view.element, Element::F32);
  EXPECT_EQ(view.shape, (Dims{2, 3}));
  EXPECT_EQ(view.strides, (Dims{3, 1}));
  EXPECT_EQ(view.rank(), 2);
  EXPECT_EQ(view.buffer.bytes(), sizeof data);
  EXPECT_EQ(view.buffer.begin, reinterpret_cast<std::uintptr_t>(data));

  const VectorMut vector = VectorMut::of(data, 6, Device::cuda(1));
  EXPECT_EQ(vector.buffer.bytes(), sizeof data);
  EXPECT_EQ(vector.device, Device::cuda(1));
}

TEST(View, WritableOnesConvertToReadOnlyOnes) {
  std::int16_t data[8] = {};
  const ByteRange buffer(data, sizeof data);
  const TensorRef tensor = TensorMut(data, Element::I16, {2, 2}, {-1, 3}, Device::cuda(2), buffer);
  EXPECT_EQ(tensor.data, data);
  EXPECT_EQ(tensor.element, Element::I16);
  EXPECT_EQ(tensor.shape, (Dims{2, 2}));
  EXPECT_EQ(tensor.strides, (Dims{-1, 3}));
  EXPECT_EQ(tensor.device, Device::cuda(2));
  EXPECT_EQ(tensor.buffer.begin, buffer.begin);
  EXPECT_EQ(tensor.buffer.end, buffer.end);

  const MatrixRef matrix = MatrixMut{{data, Element::I16, 2, 3, 4, MatrixOrder::ColMajor, Device::cuda(2), buffer}};
  EXPECT_EQ(matrix.data, data);
  EXPECT_EQ(matrix.element, Element::I16);
  EXPECT_EQ(matrix.rows, 2);
  EXPECT_EQ(matrix.cols, 3);
  EXPECT_EQ(matrix.ld, 4);
  EXPECT_EQ(matrix.order, MatrixOrder::ColMajor);
  EXPECT_EQ(matrix.device, Device::cuda(2));
  EXPECT_EQ(matrix.buffer.end, buffer.end);

  const VectorRef vector = VectorMut{{data, Element::I16, 8, Device::cuda(2), buffer}};
  EXPECT_EQ(vector.data, data);
  EXPECT_EQ(vector.element, Element::I16);
  EXPECT_EQ(vector.length, 8);
  EXPECT_EQ(vector.device, Device::cuda(2));
  EXPECT_EQ(vector.buffer.end, buffer.end);
}

}  // namespace
}  // namespace baracuda
