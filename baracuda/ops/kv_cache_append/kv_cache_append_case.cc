#include "baracuda/ops/kv_cache_append/kv_cache_append_case.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "baracuda/core/propagate.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append_kernels.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append_oracle.h"
#include "baracuda/plan/candidate.h"
#include "testing/case_op.h"
#include "testing/compare.h"

namespace baracuda::testing {

// ---- one case -------------------------------------------------------------------------------------------------------

namespace {

bool is_paged(const KvCacheAppendDescriptor& descriptor) { return descriptor.layout == KvCacheLayout::Paged; }

Dims source_shape(const KvCacheAppendDescriptor& descriptor, std::int64_t head_dim) {
  if (is_paged(descriptor)) return {descriptor.num_tokens, descriptor.num_kv_heads, head_dim};
  return {descriptor.num_sequences, descriptor.num_tokens, descriptor.num_kv_heads, head_dim};
}

Dims cache_shape(const KvCacheAppendDescriptor& descriptor, std::int64_t head_dim) {
  if (is_paged(descriptor)) return {descriptor.num_pages, descriptor.page_size, descriptor.num_kv_heads, head_dim};
  return {descriptor.num_sequences, descriptor.max_seq_len, descriptor.num_kv_heads, head_dim};
}

bool is_empty(const Dims& shape) { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }

/// What a position is for: a token where the cache is paged, else a sequence.
std::int64_t num_positions(const KvCacheAppendDescriptor& descriptor) {
  return is_paged(descriptor) ? descriptor.num_tokens : descriptor.num_sequences;
}

/// Draws as many positions or slots as the descriptor takes.
std::vector<std::int64_t> draw_positions(const KvCacheAppendCase& value, Random& random) {
  const KvCacheAppendDescriptor& descriptor = value.descriptor;
  const std::int64_t num_slots = descriptor.num_pages * descriptor.page_size;
  const std::int64_t most = is_paged(descriptor) ? num_slots - 1 : descriptor.max_seq_len - descriptor.num_tokens;
  std::vector<std::int64_t> positions;
  if (is_paged(descriptor)) {
    // One slot out of each of so many equal parts of the cache, so that they are distinct.
    const std::int64_t parts = std::min(descriptor.num_tokens, num_slots);
    // i · num_slots / parts, which would overflow.
    const auto begin_of = [&](std::int64_t i) { return num_slots / parts * i + num_slots % parts * i / parts; };
    for (std::int64_t i = 0; i < parts; ++i) positions.push_back(random.draw(begin_of(i), begin_of(i + 1) - 1));
    positions.resize(static_cast<std::size_t>(descriptor.num_tokens), -1);
  } else {
    for (std::int64_t i = 0; i < descriptor.num_sequences; ++i) positions.push_back(random.draw(0, most));
  }
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min(), kMax = std::numeric_limits<std::int64_t>::max();
  const std::int64_t past = std::min(most, kMax - 1000) + 1;
  const std::int64_t outside[] = {-2, kMin, kMax, past, past + random.draw(1, 999)};
  const KvPositions mode = value.position_mode;
  for (std::size_t i = mode == KvPositions::AllInvalid ? 0 : 1; i < positions.size(); ++i) {
    if (mode == KvPositions::AllInvalid || (mode == KvPositions::SomeInvalid && random.one_in(2)))
      positions[i] = random.pick(outside);
    else if (mode != KvPositions::Valid && random.one_in(2))
      positions[i] = -1;
  }
  for (std::size_t i = positions.size(); i > 1; --i)
    std::swap(positions[i - 1], positions[static_cast<std::size_t>(random.draw(0, static_cast<std::int64_t>(i) - 1))]);
  return positions;
}

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

std::string_view name_of(KvPositions positions) {
  switch (positions) {
    case KvPositions::Valid: return "valid";
    case KvPositions::SomeSkipped: return "some_skipped";
    case KvPositions::SomeInvalid: return "some_invalid";
    case KvPositions::AllInvalid: return "all_invalid";
  }
  return "invalid";
}

std::string to_string(const KvCacheAppendCase& value) { return print_case(KvCacheAppendPlan::kName, value); }

Result<KvCacheAppendBuffers> KvCacheAppendBuffers::create(const KvCacheAppendCase& value, const Stream& stream) {
  const KvCacheAppendDescriptor& descriptor = value.descriptor;
  const Element element = descriptor.element;
  BARACUDA_ASSIGN_OR_RETURN(
      const Placement k_place,
      place("k", element, source_shape(descriptor, descriptor.k_head_dim), value.k_strides, value.k_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(
      const Placement v_place,
      place("v", element, source_shape(descriptor, descriptor.v_head_dim), value.v_strides, value.v_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(Placement k_cache_place,
                            place("k_cache", element, cache_shape(descriptor, descriptor.k_head_dim),
                                  value.k_cache_strides, value.k_cache_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(Placement v_cache_place,
                            place("v_cache", element, cache_shape(descriptor, descriptor.v_head_dim),
                                  value.v_cache_strides, value.v_cache_misalignment));
  BARACUDA_ASSIGN_OR_RETURN(const Placement positions_place,
                            place("positions", Element::I64, {num_positions(descriptor)}));
  if (!value.positions.empty() &&
      (value.positions.rank() != num_positions(descriptor) || value.positions.rank() > kMaxRank))
    return Error::invalid_problem(fmt::format("positions has {} entries, expected {}, which may be at most {}",
                                              value.positions.rank(), num_positions(descriptor), kMaxRank));
  if (value.interleaved_by != 0) {
    if (k_cache_place.shape != v_cache_place.shape)
      return Error::invalid_problem("interleaved_by needs k_head_dim = v_head_dim");
    constexpr std::int64_t kMost = GuardedBuffer::kMaxBytes;
    if (value.interleaved_by < -kMost || value.interleaved_by > kMost)
      return Error::invalid_problem(
          fmt::format("interleaved_by is {}, expected {} to {}", value.interleaved_by, -kMost, kMost));
    const std::int64_t apart = value.interleaved_by * element_bytes(element);
    v_cache_place = k_cache_place;
    k_cache_place.origin_bytes += std::max<std::int64_t>(0, -apart);
    v_cache_place.origin_bytes += std::max<std::int64_t>(0, apart);
    k_cache_place.bytes += std::abs(apart);
    v_cache_place.bytes = 0;
  }

  Random random(value.seed);
  const auto buffer = [&](const char* name, std::int64_t bytes, int misalignment = 0) {
    return GuardedBuffer::create(name, stream, bytes, random, misalignment);
  };
  std::vector<std::int64_t> positions(value.positions.begin(), value.positions.end());
  if (positions.empty()) positions = draw_positions(value, random);
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer k, buffer("k", k_place.bytes, k_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer v, buffer("v", v_place.bytes, v_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer k_cache, buffer("k_cache", k_cache_place.bytes, k_cache_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer v_cache, buffer("v_cache", v_cache_place.bytes, v_cache_place.misalignment));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer indices, buffer("positions", positions_place.bytes));
  BARACUDA_ASSIGN_OR_RETURN(GuardedBuffer status, buffer("status", 4));
  KvCacheAppendBuffers buffers{value,
                               k_place,
                               v_place,
                               k_cache_place,
                               v_cache_place,
                               std::move(k),
                               std::move(v),
                               std::move(k_cache),
                               std::move(v_cache),
                               std::move(indices),
                               std::move(status)};
  for (GuardedBuffer* each : {&buffers.k, &buffers.v, &buffers.k_cache, &buffers.v_cache, &buffers.status})
    BARACUDA_RETURN_IF_ERROR(each->upload());
  BARACUDA_RETURN_IF_ERROR(buffers.set_positions(positions));
  return buffers;
}

KvCacheAppendArgs KvCacheAppendBuffers::args() const {
  const auto view = [&](const GuardedBuffer& buffer, const Placement& placement) {
    return buffer.tensor(value.descriptor.element, placement.shape, placement.strides, placement.origin_bytes);
  };
  KvCacheAppendArgs args;
  args.k = view(k, k_place);
  args.v = view(v, v_place);
  args.k_cache = view(k_cache, k_cache_place);
  args.v_cache = view(value.interleaved_by ? k_cache : v_cache, v_cache_place);
  args.positions = positions.vector(Element::I64, positions.bytes() / 8);
  if (value.status) args.status = status.vector(Element::I32, 1);
  return args;
}

std::span<const std::int64_t> KvCacheAppendBuffers::position_values() const {
  // The image is 256 bytes into a vector's storage: aligned.
  return {reinterpret_cast<const std::int64_t*>(positions.image().data()), positions.image().size() / 8};
}

Result<void> KvCacheAppendBuffers::set_positions(std::span<const std::int64_t> values) {
  assert(positions.image().size() == values.size_bytes());
  std::copy_n(std::as_bytes(values).begin(), values.size_bytes(), positions.image().begin());
  return positions.upload();
}

Result<void> KvCacheAppendBuffers::check() {
  const KvCacheAppendDescriptor& descriptor = value.descriptor;
  std::vector<std::byte> expected_k = copy_of(k_cache.image()), expected_v = copy_of(v_cache.image());
  const std::int64_t num_written =
      kv_cache_append_oracle(descriptor, descriptor.k_head_dim, position_values(),
                             {expected_k, k_cache_place.origin_bytes, k_cache_place.strides},
                             {k.image(), k_place.origin_bytes, k_place.strides}) +
      kv_cache_append_oracle(
          descriptor, descriptor.v_head_dim, position_values(),
          {value.interleaved_by ? expected_k : expected_v, v_cache_place.origin_bytes, v_cache_place.strides},
          {v.image(), v_place.origin_bytes, v_place.strides});
  const auto can_move = [](const Placement& source, const Placement& cache) {
    return !is_empty(source.shape) && !is_empty(cache.shape);
  };
  if (num_written == 0 && value.position_mode != KvPositions::AllInvalid &&
      (can_move(k_place, k_cache_place) || can_move(v_place, v_cache_place)))
    return Error::backend(
        0, "the case writes nothing, so it proves nothing; if that is its point, set position_mode=all_invalid");

  for (const GuardedBuffer* input : {&k, &v, &positions}) BARACUDA_RETURN_IF_ERROR(input->expect_unchanged());
  BARACUDA_RETURN_IF_ERROR(k_cache.download());
  BARACUDA_RETURN_IF_ERROR(v_cache.download());
  BARACUDA_RETURN_IF_ERROR(compare_bytes("k_cache", k_cache.image(), expected_k));
  BARACUDA_RETURN_IF_ERROR(compare_bytes("v_cache", v_cache.image(), expected_v));
  if (!value.status) return status.expect_unchanged();
  const std::int32_t expected_status[] = {kv_cache_append_status_oracle(descriptor, position_values())};
  BARACUDA_RETURN_IF_ERROR(status.download());
  return compare_bytes("status", status.image(), std::as_bytes(std::span(expected_status)));
}

Result<void> KvCacheAppendBuffers::expect_untouched() const {
  for (const GuardedBuffer* buffer : {&k, &v, &k_cache, &v_cache, &positions, &status})
    BARACUDA_RETURN_IF_ERROR(buffer->expect_unchanged());
  return {};
}

Result<void> check_kv_cache_append(const KvCacheAppendCase& value, const TestTarget& target) {
  BARACUDA_ASSIGN_OR_RETURN(const Stream stream, make_case_stream(value, target.device));
  BARACUDA_ASSIGN_OR_RETURN(const KvCacheAppendPlan plan,
                            KvCacheAppendPlan::select(stream, value.descriptor, target.preference));
  BARACUDA_ASSIGN_OR_RETURN(KvCacheAppendBuffers buffers, KvCacheAppendBuffers::create(value, stream));
  BARACUDA_RETURN_IF_ERROR(plan.run(stream, Workspace::none(), buffers.args()));
  return buffers.check();
}

// ---- many cases -----------------------------------------------------------------------------------------------------

namespace {

std::vector<Element> byte_wide_elements() {
  std::vector<Element> elements;
  for (const ElementInfo& info : kElements)
    if (is_byte_wide(info.element)) elements.push_back(info.element);
  return elements;
}

// One of each size.
constexpr Element kElementOfEachSize[] = {Element::U8, Element::F16, Element::F32, Element::F64, Element::Complex128};

constexpr KvCacheLayout kLayouts[] = {KvCacheLayout::Contiguous, KvCacheLayout::Paged};

KvCacheAppendDescriptor small_descriptor(Element element, KvCacheLayout layout) {
  KvCacheAppendDescriptor descriptor{
      .element = element, .layout = layout, .num_tokens = 3, .num_kv_heads = 2, .k_head_dim = 5, .v_head_dim = 7};
  if (layout == KvCacheLayout::Paged) {
    descriptor.num_pages = 4;
    descriptor.page_size = 2;
  } else {
    descriptor.num_sequences = 2;
    descriptor.max_seq_len = 6;
  }
  return descriptor;
}

/// Strides of a tensor whose outer axes lie in random order with random gaps, some of them backwards. Axis `inner` has
/// stride 1 and lies inside all others.
Dims random_strides(const Dims& shape, int inner, Random& random) {
  int order[kMaxRank];
  for (int axis = 0; axis < shape.rank(); ++axis) order[axis] = axis;
  std::swap(order[inner], order[shape.rank() - 1]);
  if (random.one_in(2))
    for (int i = shape.rank() - 2; i > 0; --i) std::swap(order[i], order[random.draw(0, i)]);
  const bool has_gaps = random.one_in(2), has_backward = random.one_in(3);
  Dims strides = Dims::filled(shape.rank(), 1);
  std::int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    const int axis = order[i];
    strides[axis] = has_backward && axis != inner && random.one_in(2) ? -stride : stride;
    stride = stride * std::max<std::int64_t>(1, shape[axis]) + (has_gaps ? random.draw(0, 5) : 0);
  }
  return strides;
}

Dims random_source_strides(const Dims& shape, Random& random) {
  Dims strides = random_strides(shape, shape.rank() - 1, random);
  if (random.one_in(4)) strides[static_cast<int>(random.draw(0, shape.rank() - 2))] = 0;  // a broadcast axis
  return strides;
}

/// Both caches in one allocation: an axis of two that may lie anywhere outside the rows.
void interleave(KvCacheAppendCase* value, Random& random) {
  const Dims cache = cache_shape(value->descriptor, value->descriptor.k_head_dim);
  const Dims strides = random_strides({2, cache[0], cache[1], cache[2], cache[3]}, 4, random);
  value->interleaved_by = strides[0];
  value->k_cache_strides = {strides[1], strides[2], strides[3], strides[4]};
}

}  // namespace

KvCacheAppendCase random_kv_cache_append_case(Random& random) {
  static const std::vector<Element> elements = byte_wide_elements();
  KvCacheAppendCase value;
  KvCacheAppendDescriptor& descriptor = value.descriptor;
  descriptor.element = random.pick(elements);
  descriptor.layout = random.pick(kLayouts);
  const auto size = [&random](std::int64_t lo, std::int64_t hi) { return random.one_in(60) ? 0 : random.draw(lo, hi); };
  descriptor.num_tokens = size(1, 6);
  descriptor.num_kv_heads = size(1, 4);
  descriptor.k_head_dim = random.one_in(3) ? size(1, 300) : size(1, 40);
  descriptor.v_head_dim = random.one_in(3) ? size(1, 80) : descriptor.k_head_dim;
  if (is_paged(descriptor)) {
    descriptor.num_pages = size(1, 4);
    descriptor.page_size = random.one_in(4) ? 1 : size(1, 6);
  } else {
    descriptor.num_sequences = size(1, 4);
    descriptor.max_seq_len = descriptor.num_tokens + random.draw(0, 5);
  }

  const Dims k_cache = cache_shape(descriptor, descriptor.k_head_dim),
             v_cache = cache_shape(descriptor, descriptor.v_head_dim);
  if (random.one_in(2))
    value.k_strides = random_source_strides(source_shape(descriptor, descriptor.k_head_dim), random);
  if (random.one_in(2))
    value.v_strides = random_source_strides(source_shape(descriptor, descriptor.v_head_dim), random);
  if (random.one_in(2)) value.k_cache_strides = random_strides(k_cache, 3, random);
  if (random.one_in(2)) value.v_cache_strides = random_strides(v_cache, 3, random);
  if (k_cache == v_cache && random.one_in(3)) interleave(&value, random);
  for (int* misalignment :
       {&value.k_misalignment, &value.v_misalignment, &value.k_cache_misalignment, &value.v_cache_misalignment})
    if (random.one_in(2)) *misalignment = element_bytes(descriptor.element) * static_cast<int>(random.draw(0, 15));
  value.position_mode = random.one_in(20) ? KvPositions::AllInvalid : static_cast<KvPositions>(random.draw(0, 2));
  value.status = random.one_in(2);
  value.num_threads = static_cast<int>(random.draw(1, 3));
  value.seed = random.next() >> 32;
  return value;
}

std::vector<KvCacheAppendCase> designed_kv_cache_append_cases() {
  std::vector<KvCacheAppendCase> cases;
  for (KvCacheLayout layout : kLayouts)
    for (Element element : byte_wide_elements()) cases.push_back({.descriptor = small_descriptor(element, layout)});

  // Rows around one and several vectors of 16 bytes, all that a thread moves, all that a block moves, and several
  // blocks'. One token a position and one head, so that the misalignment is that of every row.
  for (KvCacheLayout layout : kLayouts)
    for (Element element : kElementOfEachSize) {
      const int bytes = element_bytes(element);
      for (std::int64_t row_bytes : {16, 32, 64, 128, 256, 16384, 40000})
        for (std::int64_t head_dim : {row_bytes / bytes - 1, row_bytes / bytes, row_bytes / bytes + 1}) {
          KvCacheAppendCase value{.descriptor = small_descriptor(element, layout)};
          value.descriptor.num_tokens = value.descriptor.num_kv_heads = 1;
          value.descriptor.k_head_dim = head_dim;
          value.descriptor.v_head_dim = head_dim + 1;
          for (int misalignment : {0, 1, 7}) {
            value.k_misalignment = 3 * misalignment * bytes % 256;
            value.k_cache_misalignment = value.v_misalignment = misalignment * bytes;
            cases.push_back(value);
          }
        }
    }

  for (const char* line : {
           // Llama: 8 heads of 128; a prompt, then a token for each sequence.
           "kv_cache_append num_tokens=17 num_kv_heads=8 k_head_dim=128 v_head_dim=128 num_sequences=1 max_seq_len=64",
           "kv_cache_append num_tokens=1 num_kv_heads=8 k_head_dim=128 v_head_dim=128 num_sequences=4 max_seq_len=32 "
           "status=true num_threads=4",
           // HND: the heads lie outside the tokens.
           "kv_cache_append num_tokens=5 num_kv_heads=4 k_head_dim=64 v_head_dim=64 num_sequences=2 max_seq_len=16 "
           "k_cache_strides=4096x64x1024x1 v_cache_strides=4096x64x1024x1",
           "kv_cache_append layout=paged num_tokens=9 num_kv_heads=4 k_head_dim=64 v_head_dim=64 num_pages=4 "
           "page_size=16 k_cache_strides=4096x64x1024x1 v_cache_strides=4096x64x1024x1",
           // FlashInfer: [pages, 2, page_size, heads, head_dim] in one allocation, and its HND form.
           "kv_cache_append layout=paged num_tokens=9 num_kv_heads=2 k_head_dim=64 v_head_dim=64 num_pages=4 "
           "page_size=8 k_cache_strides=2048x128x64x1 interleaved_by=1024",
           "kv_cache_append layout=paged num_tokens=9 num_kv_heads=2 k_head_dim=64 v_head_dim=64 num_pages=4 "
           "page_size=8 k_cache_strides=2048x64x512x1 interleaved_by=1024",
           // Key and value of a head side by side, and values ahead of keys.
           "kv_cache_append layout=paged num_tokens=5 num_kv_heads=2 k_head_dim=32 v_head_dim=32 num_pages=4 "
           "page_size=8 k_cache_strides=1024x128x64x1 interleaved_by=32",
           "kv_cache_append layout=paged num_tokens=5 num_kv_heads=2 k_head_dim=32 v_head_dim=32 num_pages=4 "
           "page_size=8 k_cache_strides=1024x128x64x1 interleaved_by=-32",
           // k and v as slices of one fused projection, 12 heads wide.
           "kv_cache_append layout=paged num_tokens=6 num_kv_heads=2 k_head_dim=64 v_head_dim=64 num_pages=4 "
           "page_size=4 k_strides=768x64x1 v_strides=768x64x1",
           // MLA: keys longer than values.
           "kv_cache_append element=bf16 layout=paged num_tokens=6 num_kv_heads=3 k_head_dim=192 v_head_dim=128 "
           "num_pages=9 page_size=1",
           // Keys alone.
           "kv_cache_append layout=paged num_tokens=6 num_kv_heads=1 k_head_dim=576 num_pages=2 page_size=16 "
           "status=true",
           // One element in all.
           "kv_cache_append element=i8 layout=paged num_tokens=1 num_kv_heads=1 k_head_dim=1 v_head_dim=1 num_pages=1 "
           "page_size=1",
           "kv_cache_append element=complex128 num_tokens=1 num_kv_heads=1 k_head_dim=1 v_head_dim=1 num_sequences=1 "
           "max_seq_len=1",
           // The last place, and one past it; the first of all positions that are not asked for.
           "kv_cache_append num_tokens=2 num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_sequences=4 max_seq_len=6 "
           "positions=4x5x-1x0 status=true",
           "kv_cache_append num_tokens=2 num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_sequences=4 max_seq_len=6 "
           "positions=4x3x-1x0 status=true",
           "kv_cache_append layout=paged num_tokens=4 num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_pages=3 page_size=2 "
           "positions=6x5x0x-2 status=true",
           "kv_cache_append layout=paged num_tokens=4 num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_pages=3 page_size=2 "
           "positions=-1x-1x-1x-1 position_mode=all_invalid status=true",
           "kv_cache_append num_tokens=2 num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_sequences=3 max_seq_len=6 "
           "position_mode=all_invalid status=true",
           // Without a token, a sequence, a slot, a head. Positions are still looked at for the status.
           "kv_cache_append num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_sequences=3 max_seq_len=6 status=true",
           "kv_cache_append num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_sequences=3 max_seq_len=6 positions=6x7x0 "
           "status=true",
           "kv_cache_append num_tokens=2 num_kv_heads=2 k_head_dim=8 v_head_dim=8 max_seq_len=6 status=true",
           "kv_cache_append layout=paged num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_pages=3 page_size=2 status=true",
           "kv_cache_append layout=paged num_tokens=3 num_kv_heads=2 k_head_dim=8 v_head_dim=8 page_size=2 status=true",
           "kv_cache_append layout=paged num_tokens=3 num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_pages=3 "
           "positions=-1x0x-1 status=true",
           "kv_cache_append layout=paged num_tokens=3 k_head_dim=8 v_head_dim=8 num_pages=3 page_size=2",
           "kv_cache_append status=true",
           // More rows than one piece of the CPU's, more positions than a block has threads.
           "kv_cache_append element=f32 layout=paged num_tokens=700 num_kv_heads=8 k_head_dim=64 v_head_dim=64 "
           "num_pages=90 page_size=8 status=true num_threads=4",
           "kv_cache_append element=i8 layout=paged num_tokens=700 num_kv_heads=1 k_head_dim=3 v_head_dim=1 "
           "num_pages=90 page_size=8 position_mode=some_invalid status=true",
       }) {
    const Result<KvCacheAppendCase> value = parse_case<KvCacheAppendCase>(KvCacheAppendPlan::kName, line);
    assert(value && "a designed case does not parse");
    if (value) cases.push_back(*value);
  }
  return cases;
}

// ---- what the tool and the shared tests see -------------------------------------------------------------------------

namespace {

class KvCacheAppendOp final : public CaseOp<KvCacheAppendPlan, KvCacheAppendCase, KvCacheAppendBuffers> {
 public:
  std::string_view summary() const override {
    return "new keys and values of all heads into a contiguous or paged cache";
  }

  std::vector<KernelSku> skus(const DeviceInfo& device) const override {
    std::vector<KernelSku> skus;
    for (Element element : byte_wide_elements())
      for (KvCacheLayout layout : kLayouts)
        if (const auto choice = KvCacheAppendPlan::choose(small_descriptor(element, layout), {}, device))
          skus.push_back(choice->sku);
    return skus;
  }

  using CaseOp::kernels;
  std::vector<jit::KernelSpec> kernels(const PlanPreference& preference, const DeviceInfo& device) const override {
    std::vector<jit::KernelSpec> kernels;
    const auto arch = choose_arch(name(), preference, device);
    if (!arch || arch->arch == Arch::Cpu) return kernels;
    for (bool paged : {false, true})
      for (bool wide_index : {false, true})
        for (Element element : kElementOfEachSize)
          kernels.push_back(kv_cache_append_kernel({paged, element_bytes(element), wide_index}, arch->target));
    return kernels;
  }

  std::vector<std::string> bench_cases(Device device) const override {
    // A token for each of many sequences, then a prompt; Llama's 8 heads of 128.
    if (device.is_cpu())
      return {
          "kv_cache_append element=bf16 num_tokens=1 num_kv_heads=8 k_head_dim=128 v_head_dim=128 num_sequences=32 "
          "max_seq_len=256 num_threads=0",
          "kv_cache_append element=bf16 layout=paged num_tokens=2048 num_kv_heads=8 k_head_dim=128 v_head_dim=128 "
          "num_pages=256 page_size=16 num_threads=0",
      };
    return {
        "kv_cache_append element=bf16 num_tokens=1 num_kv_heads=8 k_head_dim=128 v_head_dim=128 num_sequences=32 "
        "max_seq_len=512",
        "kv_cache_append element=bf16 layout=paged num_tokens=32 num_kv_heads=8 k_head_dim=128 v_head_dim=128 "
        "num_pages=1024 page_size=16",
        "kv_cache_append element=bf16 num_tokens=2048 num_kv_heads=8 k_head_dim=128 v_head_dim=128 num_sequences=32 "
        "max_seq_len=4096",
        "kv_cache_append element=bf16 layout=paged num_tokens=65536 num_kv_heads=8 k_head_dim=128 v_head_dim=128 "
        "num_pages=8192 page_size=16",
    };
  }

 private:
  std::vector<KvCacheAppendCase> designed_cases() const override { return designed_kv_cache_append_cases(); }
  KvCacheAppendCase random_case(Random& random) const override { return random_kv_cache_append_case(random); }
  Result<void> check(const KvCacheAppendCase& value, const TestTarget& target) const override {
    return check_kv_cache_append(value, target);
  }
};

}  // namespace

const Op& kv_cache_append_op() {
  static const KvCacheAppendOp op;
  return op;
}

}  // namespace baracuda::testing
