#include "baracuda/ops/write_slice/write_slice_case.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "baracuda/core/propagate.h"
#include "baracuda/ops/write_slice/write_slice_kernels.h"
#include "baracuda/ops/write_slice/write_slice_oracle.h"
#include "baracuda/plan/candidate.h"
#include "testing/case_op.h"
#include "testing/case_text.h"
#include "testing/compare.h"

namespace baracuda::testing {
namespace {

bool fits(const Dims& starts, const Dims& extents, const Dims& shape) {
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (starts[axis] < 0 || starts[axis] > shape[axis] - extents[axis]) return false;
  return true;
}

template <class T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace

std::string to_string(const WriteSliceCase& value) { return print_case(WriteSlicePlan::kName, value); }

Result<WriteSliceBuffers> WriteSliceBuffers::create(const WriteSliceCase& value, const Stream& stream) {
  const WriteSliceDescriptor& descriptor = value.descriptor;
  const Dims& shape = descriptor.dest_shape;
  Dims extents = descriptor.end;
  for (int axis = 0; axis < extents.rank(); ++axis) extents[axis] -= descriptor.start[axis];
  BARACUDA_ASSIGN_OR_RETURN(const Placement dest_place,
                            place("dest", descriptor.element, shape, value.dest_strides, value.dest_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(const Placement source_place, place("source", descriptor.element, extents,
                                                                value.source_strides, value.source_misalignment));
  const Dims positions = value.device_starts.empty() ? descriptor.start : value.device_starts;
  if (positions.rank() != shape.rank())
    return Error::invalid_problem(
        fmt::format("starts has {} entries, expected {}, one per axis", positions.rank(), shape.rank()));
  if (positions != descriptor.start && !descriptor.device_starts)
    return Error::invalid_problem(fmt::format("starts is {}, expected {} as start, or device_starts=true",
                                              positions.to_string(), descriptor.start.to_string()));

  Random random(value.seed);
  const auto buffer = [&](const char* name, std::int64_t bytes, int misalignment = 0) {
    return GuardedBuffer::create(name, stream, bytes, random, misalignment);
  };
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer dest, buffer("dest", dest_place.bytes, dest_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer source, buffer("source", source_place.bytes, source_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer starts, buffer("starts", 8 * shape.rank()));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer status, buffer("status", 4));
  std::memcpy(starts.image().data(), positions.begin(), starts.image().size());
  WriteSliceBuffers buffers{value,           extents,           positions,         dest_place,       source_place,
                            std::move(dest), std::move(source), std::move(starts), std::move(status)};
  for (GuardedBuffer* operand : buffers.operands()) BARACUDA_RETURN_IF_ERROR(operand->upload());
  return buffers;
}

WriteSliceArgs WriteSliceBuffers::args() const {
  const WriteSliceDescriptor& descriptor = value.descriptor;
  WriteSliceArgs args{
      .dest = dest.tensor(descriptor.element, dest_place.shape, dest_place.strides, dest_place.origin_bytes),
      .source = source.tensor(descriptor.element, extents, source_place.strides, source_place.origin_bytes),
  };
  if (descriptor.device_starts) args.device_starts = starts.vector(Element::I64, positions.rank());
  if (value.status) args.status = status.vector(Element::I32, 1);
  return args;
}

Result<void> WriteSliceBuffers::check() {
  const WriteSliceDescriptor& descriptor = value.descriptor;
  std::vector<std::byte> expected(dest.image().begin(), dest.image().end());
  const bool inside = fits(positions, extents, descriptor.dest_shape);
  if (inside)
    write_slice_oracle(descriptor.element, positions, extents, {expected, dest_place.origin_bytes, dest_place.strides},
                       {source.image(), source_place.origin_bytes, source_place.strides});
  // As many random bytes are not what was there before by chance.
  if (inside && contiguous_bytes(descriptor.element, extents) >= 8 && compare_bytes("dest", dest.image(), expected))
    return Error::backend(0, "the case changes nothing, so it proves nothing");

  BARACUDA_RETURN_IF_ERROR(dest.download());
  BARACUDA_RETURN_IF_ERROR(compare_bytes("dest", dest.image(), expected));
  BARACUDA_RETURN_IF_ERROR(source.expect_unchanged());
  BARACUDA_RETURN_IF_ERROR(starts.expect_unchanged());
  if (!value.status) return status.expect_unchanged();
  BARACUDA_RETURN_IF_ERROR(status.download());
  std::int32_t expected_status = inside ? 0 : 1;
  return compare_bytes("status", status.image(), bytes_of(expected_status));
}

Result<void> check_write_slice(const WriteSliceCase& value, const TestTarget& target) {
  BARACUDA_ASSIGN_OR_RETURN(const Stream stream, make_case_stream(value, target.device));
  BARACUDA_ASSIGN_OR_RETURN(const WriteSlicePlan plan,
                            WriteSlicePlan::select(stream, value.descriptor, target.preference));
  BARACUDA_ASSIGN_OR_RETURN(WriteSliceBuffers buffers, WriteSliceBuffers::create(value, stream));
  BARACUDA_RETURN_IF_ERROR(plan.run(stream, Workspace::none(), buffers.args()));
  // Only now: what the plan refuses, such as a dest that overlaps itself, may take the oracle for ever.
  return buffers.check();
}

// ---- random cases ---------------------------------------------------------------------------------------------------

namespace {

std::vector<Element> supported_elements() {
  std::vector<Element> elements;
  for (const ElementInfo& info : kElements)
    if (is_byte_wide(info.element) || is_packed_4bit(info.element)) elements.push_back(info.element);
  return elements;
}

}  // namespace

WriteSliceCase random_write_slice_case(Random& random) {
  static const std::vector<Element> elements = supported_elements();
  WriteSliceCase value;
  WriteSliceDescriptor& descriptor = value.descriptor;
  // The packed kinds have the most ways to go wrong.
  descriptor.element = random.one_in(4) ? Element::S4 : random.pick(elements);
  const int rank = static_cast<int>(random.one_in(4) ? random.draw(1, kMaxRank) : random.draw(1, 4));
  descriptor.dest_shape = descriptor.start = descriptor.end = Dims::filled(rank, 0);
  std::int64_t budget = 4096;  // elements
  for (int axis = rank - 1; axis >= 0; --axis) {
    const std::int64_t extent = std::max<std::int64_t>(1, std::min(budget, random.draw(1, axis == rank - 1 ? 300 : 9)));
    budget /= extent;
    descriptor.dest_shape[axis] = extent;
    const bool whole = random.one_in(3);
    descriptor.start[axis] = whole ? 0 : random.draw(0, extent - 1);
    descriptor.end[axis] = whole ? extent : random.draw(descriptor.start[axis] + 1, extent);
  }
  if (random.one_in(30)) {
    const int axis = static_cast<int>(random.draw(0, rank - 1));
    descriptor.end[axis] = descriptor.start[axis];
  }
  Dims extents = descriptor.end;
  for (int axis = 0; axis < rank; ++axis) extents[axis] -= descriptor.start[axis];
  if (random.one_in(2)) value.dest_strides = random_strides(descriptor.dest_shape, random, false);
  if (random.one_in(2)) value.source_strides = random_strides(extents, random, true);
  const int bytes = std::max(1, element_bytes(descriptor.element));
  if (random.one_in(2)) value.dest_misalignment = bytes * static_cast<int>(random.draw(0, 15));
  if (random.one_in(2)) value.source_misalignment = bytes * static_cast<int>(random.draw(0, 15));
  if (random.one_in(3)) {
    descriptor.device_starts = true;
    value.status = random.one_in(2);
    value.device_starts = descriptor.start;
    for (int axis = 0; axis < rank; ++axis)
      value.device_starts[axis] = random.draw(0, descriptor.dest_shape[axis] - extents[axis]);
    if (random.one_in(4)) {
      const int axis = static_cast<int>(random.draw(0, rank - 1));
      value.device_starts[axis] = random.one_in(2) ? -1 : descriptor.dest_shape[axis] - extents[axis] + 1;
    }
  }
  value.num_threads = static_cast<int>(random.draw(1, 3));
  value.seed = random.next() >> 32;
  return value;
}

// ---- what the tool and the shared tests see -------------------------------------------------------------------------

namespace {

/// Descriptors that between them reach every variant.
std::vector<WriteSliceDescriptor> descriptors_of_every_sku(Element element) {
  std::vector<WriteSliceDescriptor> descriptors;
  for (bool device_starts : {false, true})
    for (const Dims& end : {Dims{64, 64}, Dims{32, 64}, Dims{64, 63}, Dims{64, 62}, Dims{64, 1}})
      descriptors.push_back({element, {64, 64}, {0, 0}, end, device_starts});
  return descriptors;
}

class WriteSliceOp final : public CaseOp<WriteSlicePlan, WriteSliceCase, WriteSliceBuffers> {
 public:
  std::string_view summary() const override { return "dest[start:end, …] = source, in place"; }

  std::vector<KernelSku> skus(const DeviceInfo& device) const override {
    std::vector<KernelSku> skus;
    for (Element element : supported_elements())
      for (const WriteSliceDescriptor& descriptor : descriptors_of_every_sku(element))
        if (const auto choice = WriteSlicePlan::choose(descriptor, {}, device);
            choice && std::find(skus.begin(), skus.end(), choice->sku) == skus.end())
          skus.push_back(choice->sku);
    return skus;
  }

  using CaseOp::kernels;
  std::vector<jit::KernelSpec> kernels(const PlanPreference& preference, const DeviceInfo& device) const override {
    std::vector<jit::KernelSpec> kernels;
    const auto arch = choose_arch(name(), preference, device);
    if (!arch || arch->arch == Arch::Cpu) return kernels;
    for (bool device_starts : {false, true})
      for (bool wide_index : {false, true}) {
        for (int bytes : {1, 2, 4, 8, 16})
          for (WriteSliceVariant variant : {WriteSliceVariant::Rows, WriteSliceVariant::Generic})
            kernels.push_back(write_slice_kernel({variant, bytes, wide_index, device_starts}, arch->target));
        kernels.push_back(write_slice_kernel({WriteSliceVariant::Nibbles, 1, wide_index, device_starts}, arch->target));
      }
    return kernels;
  }

  std::vector<std::string> bench_cases(Device device) const override {
    if (device.is_cpu())
      return {
          // A memcpy, on one thread and on all.
          "write_slice element=u8 dest=8192 start=64 end=4160 num_threads=1",
          "write_slice element=u8 dest=4198400 start=64 end=4194368 num_threads=1",
          "write_slice element=u8 dest=67112960 start=64 end=67108928 num_threads=1",
          "write_slice element=u8 dest=67112960 start=64 end=67108928 num_threads=0",
          // The prompt of a KV cache, then windows at odd offsets.
          "write_slice element=bf16 dest=4x8x8192x128 start=0x0x777x0 end=4x8x2825x128 num_threads=0",
          "write_slice element=f32 dest=4096x8192 start=101x103 end=3101x7103 num_threads=0",
          "write_slice element=s4 dest=1024x4096 start=11x13 end=811x3013 num_threads=0",
          "write_slice element=f32 dest=131072x64 start=0x3 end=131072x7 num_threads=0",
      };
    return {
        "write_slice element=f32 dest=8192x16384 start=1000x0 end=7000x16384",
        // A KV cache: the prompt, and one token.
        "write_slice element=bf16 dest=32x8x8192x128 start=0x0x777x0 end=32x8x2825x128",
        "write_slice element=bf16 dest=32x8x1024x128 start=0x0x777x0 end=32x8x778x128",
        // Windows at odd offsets.
        "write_slice element=f32 dest=8192x16384 start=1001x1003 end=7001x15003",
        "write_slice element=u8 dest=8192x16384 start=1001x1003 end=7001x15003",
        "write_slice element=s4 dest=8192x16384 start=1001x1003 end=7001x15003",
        // Columns narrower than a row kernel takes.
        "write_slice element=f32 dest=1048576x64 start=0x3 end=1048576x7",
    };
  }

 private:
  WriteSliceCase random_case(Random& random) const override { return random_write_slice_case(random); }
  Result<void> check(const WriteSliceCase& value, const TestTarget& target) const override {
    return check_write_slice(value, target);
  }
};

}  // namespace

const Op& write_slice_op() {
  static const WriteSliceOp op;
  return op;
}

}  // namespace baracuda::testing
