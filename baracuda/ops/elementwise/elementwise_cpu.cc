#include "baracuda/ops/elementwise/elementwise_cpu.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>

#include "baracuda/cpu/parallel_for.h"
#include "baracuda/ops/elementwise/elementwise_loops.h"
#include "baracuda/ops/elementwise/elementwise_table.h"

// The index space is computed in blocks that stay in the L1 cache. An operand that lies as its values do is used where
// it lies; any other is gathered into, or scattered from, a block of values. So an operator is compiled once for each
// type that it is computed in, a conversion once for each element, and strides not at all.

namespace baracuda {
namespace {

constexpr int kBlockValues = 1024;
constexpr int kMaxValueBytes = 8;

/// Where the flat index that a piece has come to lies.
struct Position {
  long long index[8];
  char* output;
  const char* inputs[3];
};

Position position_of(const ElementwiseParams& params, std::int64_t flat) {
  Position position{{}, params.output, {params.inputs[0], params.inputs[1], params.inputs[2]}};
  for (int k = 0; k < params.num_axes; ++k) {
    const ElementwiseAxis& axis = params.axes[k];
    position.index[k] = flat % axis.extent;
    flat /= axis.extent;
    position.output += position.index[k] * axis.output_stride;
    for (int i = 0; i < 3; ++i) position.inputs[i] += position.index[k] * axis.input_strides[i];
  }
  return position;
}

/// Moves on along the innermost axis, by no more than what is left of it.
void advance(const ElementwiseParams& params, std::int64_t count, Position* position) {
  for (int k = 0; k < params.num_axes; ++k) {
    const ElementwiseAxis& axis = params.axes[k];
    const std::int64_t by = k == 0 ? count : 1;
    position->index[k] += by;
    position->output += by * axis.output_stride;
    for (int i = 0; i < 3; ++i) position->inputs[i] += by * axis.input_strides[i];
    if (position->index[k] < axis.extent) return;
    position->index[k] = 0;
    position->output -= axis.extent * axis.output_stride;
    for (int i = 0; i < 3; ++i) position->inputs[i] -= axis.extent * axis.input_strides[i];
  }
}

template <class T>
void copy_strided(char* to, std::int64_t to_stride, const char* from, std::int64_t from_stride, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    *reinterpret_cast<T*>(to + i * to_stride) = *reinterpret_cast<const T*>(from + i * from_stride);
}

void copy_elements(int bytes, char* to, std::int64_t to_stride, const char* from, std::int64_t from_stride,
                   std::int64_t count) {
  if (to_stride == bytes && from_stride == bytes) {
    std::memcpy(to, from, static_cast<std::size_t>(count * bytes));
    return;
  }
  switch (bytes) {
    case 1: return copy_strided<std::uint8_t>(to, to_stride, from, from_stride, count);
    case 2: return copy_strided<std::uint16_t>(to, to_stride, from, from_stride, count);
    case 4: return copy_strided<std::uint32_t>(to, to_stride, from, from_stride, count);
    default: return copy_strided<std::uint64_t>(to, to_stride, from, from_stride, count);
  }
}

struct Operands {
  const ElementwiseCpuKernel& kernel;
  const ElementwiseParams& params;
  int num_inputs;
  int output_bytes;
  const int (&input_bytes)[3];
  const unsigned char* table = nullptr;

  bool needs_no_copies() const {
    bool direct = !kernel.load && !kernel.load_condition && !kernel.store;
    direct &= params.axes[0].output_stride == output_bytes;
    for (int k = 0; k < num_inputs; ++k) direct &= params.axes[0].input_strides[k] == input_bytes[k];
    return direct && params.axes[0].extent >= kBlockValues / 4;
  }

  /// Flat indices begin … end − 1.
  void run(std::int64_t begin, std::int64_t end) const {
    alignas(64) char elements[kBlockValues * kMaxValueBytes];
    alignas(64) char values[3][kBlockValues * kMaxValueBytes];
    alignas(64) char results[kBlockValues * kMaxValueBytes];
    // A constant input's values stay from one block to the next.
    const char* repeated[3] = {};
    const std::int64_t inner_extent = params.axes[0].extent;
    const bool is_direct = needs_no_copies();
    Position position = position_of(params, begin);
    while (begin < end) {
      // What is dense and computed as it lies needs no copy, however long it is. Else long rows keep to themselves,
      // which saves copies too, and short ones share a block.
      const std::int64_t inner_left = inner_extent - position.index[0];
      const bool one_row = is_direct || inner_left >= kBlockValues / 4;
      const std::int64_t most = is_direct ? end - begin : std::min<std::int64_t>(end - begin, kBlockValues);
      const std::int64_t count = one_row ? std::min(most, inner_left) : most;
      const bool in_row = count <= inner_left;
      const bool dense = in_row && params.axes[0].output_stride == output_bytes;
      char* const computed = dense && !kernel.store ? position.output : results;

      ElementwiseBlock block{computed, {}, count, params.scalars, table};
      for (int k = 0; k < num_inputs; ++k) {
        const ElementwiseConversion load = k == 0 && kernel.load_condition ? kernel.load_condition : kernel.load;
        const int bytes = input_bytes[k];
        const std::int64_t stride = params.axes[0].input_strides[k];
        char* const loaded = kernel.loop ? values[k] : computed;  // which is all, where nothing is computed
        block.inputs[k] = loaded;
        if (in_row && stride == bytes) {
          if (load)
            load(loaded, position.inputs[k], count);
          else
            block.inputs[k] = position.inputs[k];
          continue;
        }
        const bool constant = in_row && stride == 0;
        if (constant && kernel.loop && repeated[k] == position.inputs[k]) continue;
        repeated[k] = constant ? position.inputs[k] : nullptr;
        char* gathered = load ? elements : loaded;
        const std::int64_t gathered_count = constant && kernel.loop ? kBlockValues : count;
        Position from = position;
        for (std::int64_t done = 0; done < gathered_count;) {
          const std::int64_t run =
              constant ? gathered_count : std::min(gathered_count - done, std::int64_t{inner_extent - from.index[0]});
          copy_elements(bytes, gathered + done * bytes, bytes, from.inputs[k], stride, run);
          done += run;
          if (done < gathered_count) advance(params, run, &from);
        }
        if (load) load(loaded, elements, gathered_count);
      }

      if (kernel.loop) kernel.loop(block);
      const void* const result = kernel.loop ? computed : block.inputs[0];
      if (dense) {
        if (kernel.store) kernel.store(position.output, result, count);
        advance(params, count, &position);
      } else {
        if (kernel.store) kernel.store(elements, result, count);
        const char* scattered = kernel.store ? elements : results;
        for (std::int64_t done = 0; done < count;) {
          const std::int64_t run = std::min(count - done, std::int64_t{inner_extent - position.index[0]});
          copy_elements(output_bytes, position.output, params.axes[0].output_stride, scattered + done * output_bytes,
                        output_bytes, run);
          done += run;
          advance(params, run, &position);
        }
      }
      begin += count;
    }
  }
};

/// Whether an f32 holds every value of the element. As kIsWide in elementwise_compute.cuh.
bool is_f32_enough(Element element) { return element_bytes(element) <= 2 || element == Element::F32; }

/// What one input of 8 bits gives with conversions, which take longer than a look-up does.
ElementwiseLoop lookup_of(const ElementwiseCpuKernel& kernel, CpuTarget target, ElementwiseOp op, Element element,
                          Element output) {
  const bool bytes = element_bytes(element) == 1 && element_bytes(output) == 1;
  const bool converts = kernel.load || kernel.store;
  return bytes && converts && find_row(op)->num_inputs == 1 ? elementwise_lookup(target) : nullptr;
}

/// The kernel's results for all bytes.
void fill_table(const ElementwiseCpuKernel& kernel, const ElementwiseParams& params, unsigned char (&table)[256]) {
  unsigned char all[256];
  std::iota(std::begin(all), std::end(all), static_cast<unsigned char>(0));
  ElementwiseParams dense = params;
  dense.num_axes = 1;
  dense.axes[0] = {.extent = 256, .output_stride = 1, .input_strides = {1, 0, 0}};
  dense.inputs[0] = reinterpret_cast<const char*>(all);
  dense.output = reinterpret_cast<char*>(table);
  constexpr int kBytes[3] = {1, 1, 1};
  Operands{kernel, dense, 1, 1, kBytes}.run(0, 256);
}

}  // namespace

ElementwiseLoop elementwise_loop(CpuTarget target, ElementwiseOp op, Element element) {
  const Element computed = compute_element(op, element);
  if (computed == Element::F32 || computed == Element::F64)
    return elementwise_float_loop(target, op, computed, element_bytes(element) < element_bytes(computed));
  const ElementwiseLoop loop = elementwise_signed_loop(target, op, computed);
  return loop ? loop : elementwise_unsigned_loop(target, op, computed);
}

ElementwiseCpuKernel elementwise_cpu_kernel(CpuTarget target, ElementwiseOp op, Element element, Element output) {
  ElementwiseCpuKernel kernel;
  if (op == ElementwiseOp::Cast) {
    kernel.loop = elementwise_cast_loop(target, element, output);
    kernel.load = elementwise_load(target, element);
    kernel.store = elementwise_store(target, output, !is_f32_enough(element));
    kernel.lookup = lookup_of(kernel, target, op, element, output);
    return kernel;
  }
  kernel.loop = elementwise_loop(target, op, element);
  if (op == ElementwiseOp::Where) {
    kernel.load_condition = elementwise_load(target, Element::Bool);
    return kernel;
  }
  kernel.load = elementwise_load(target, element);
  kernel.store = elementwise_store(target, output, false);
  kernel.lookup = lookup_of(kernel, target, op, element, output);
  return kernel;
}

void run_elementwise(const ElementwiseCpuKernel& kernel, const ElementwiseParams& params, int num_inputs,
                     int output_bytes, const int (&input_bytes)[3], int num_threads) {
  std::int64_t count = 1;
  for (int k = 0; k < params.num_axes; ++k) count *= params.axes[k].extent;
  std::int64_t bytes_each = output_bytes;
  for (int k = 0; k < num_inputs; ++k) bytes_each += input_bytes[k];
  // The table is worth it from some multiple of its size on.
  const bool looks_up = kernel.lookup && count >= kBlockValues;
  unsigned char table[256];
  if (looks_up) fill_table(kernel, params, table);
  const ElementwiseCpuKernel lookup{.loop = kernel.lookup};
  const Operands operands{looks_up ? lookup : kernel, params, num_inputs, output_bytes, input_bytes, table};
  cpu::parallel_for(num_threads, count, std::max<std::int64_t>(kBlockValues, cpu::kBytesPerPiece / bytes_each),
                    [&](std::int64_t begin, std::int64_t end) { operands.run(begin, end); });
}

}  // namespace baracuda
