#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "baracuda/ops/kv_cache_append/kv_cache_append_case.h"
#include "baracuda/plan/plan_cache.h"
#include "testing/call_counter.h"
#include "testing/compare.h"
#include "testing/cuda_graph.h"
#include "testing/options.h"
#include "testing/property.h"

namespace baracuda::testing {
namespace {

/// A failure of a case prints the command that repeats it.
::testing::AssertionResult passes(const KvCacheAppendCase& value, const TestTarget& target) {
  const Result<void> checked = check_kv_cache_append(value, target);
  if (checked) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << target.name << ": " << checked.error().to_string()
                                       << "\n  baracuda verify --device " << target.device.name() << " --case \""
                                       << to_string(value) << '"';
}

KvCacheAppendCase parse(const std::string& fields) {
  const auto value = parse_case<KvCacheAppendCase>(KvCacheAppendPlan::kName, "kv_cache_append " + fields);
  EXPECT_TRUE(value) << value.error().message;
  return value.value_or(KvCacheAppendCase{});
}

constexpr const char* kContiguous =
    "num_tokens=2 num_kv_heads=3 k_head_dim=8 v_head_dim=8 num_sequences=2 max_seq_len=6 status=true";
constexpr const char* kPaged =
    "layout=paged num_tokens=4 num_kv_heads=3 k_head_dim=8 v_head_dim=8 num_pages=3 page_size=2 status=true";

class KvCacheAppendTest : public ::testing::TestWithParam<TestTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, KvCacheAppendTest, ::testing::ValuesIn(test_targets()), NameOfParam());

class KvCacheAppendDeviceTest : public ::testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    const Result<Stream> made = make_stream(GetParam());
    ASSERT_TRUE(made) << made.error().message;
    stream = *made;
  }

  /// Runs the case on buffers that `fill` has had a hand in, and reads the caches back.
  Result<KvCacheAppendBuffers> run(const KvCacheAppendCase& value,
                                   const std::function<Result<void>(KvCacheAppendBuffers&)>& fill) {
    Result<KvCacheAppendBuffers> buffers = KvCacheAppendBuffers::create(value, stream);
    if (!buffers) return buffers;
    if (Result<void> filled = fill(*buffers); !filled) return filled.error();
    if (Result<void> ran = run(value, buffers->args()); !ran) return ran.error();
    if (Result<void> read = read_caches(*buffers); !read) return read.error();
    return buffers;
  }
  Result<void> run(const KvCacheAppendCase& value, const KvCacheAppendArgs& args) {
    const auto plan = KvCacheAppendPlan::select(stream, value.descriptor);
    if (!plan) return plan.error();
    return plan->run(stream, Workspace::none(), args);
  }
  static Result<void> read_caches(KvCacheAppendBuffers& buffers) {
    if (Result<void> read = buffers.k_cache.download(); !read) return read;
    return buffers.v_cache.download();
  }

  Stream stream = Stream::cpu();
};
INSTANTIATE_TEST_SUITE_P(Devices, KvCacheAppendDeviceTest, ::testing::ValuesIn(test_devices()), NameOfParam());

class KvCacheAppendCudaTest : public KvCacheAppendDeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, KvCacheAppendCudaTest, ::testing::ValuesIn(cuda_test_devices()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KvCacheAppendCudaTest);

// ---- against the oracle ---------------------------------------------------------------------------------------------

TEST_P(KvCacheAppendTest, DesignedCases) {
  for (const KvCacheAppendCase& value : designed_kv_cache_append_cases()) EXPECT_TRUE(passes(value, GetParam()));
}

TEST_P(KvCacheAppendTest, RandomCases) {
  Random random(options().seed);
  for (int i = 0; i < (options().full ? 4000 : 2000); ++i)
    ASSERT_TRUE(passes(random_kv_cache_append_case(random), GetParam())) << "random case " << i;
}

/// The sanitizers run this suite too: small cases of both layouts and every element width.
TEST_P(KvCacheAppendTest, CoveringSetSanitizer) {
  Random random(options().seed + 1);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(passes(random_kv_cache_append_case(random), GetParam()));
}

/// Every misalignment of source and cache against each other with every row length up to 40 bytes; the heads of a token
/// are rows of their own, whose pitch moves them on.
TEST_P(KvCacheAppendTest, OffsetSweepSanitizer) {
  const int step = options().full || GetParam().device.is_cpu() ? 1 : 7;
  for (int cache_offset = 0; cache_offset < 16; ++cache_offset)
    for (int source_offset = 0; source_offset < 16; ++source_offset)
      for (int length = 1 + (cache_offset + source_offset) % step; length <= 40; length += step) {
        KvCacheAppendCase value = parse(
            "element=u8 layout=paged num_tokens=2 num_kv_heads=2 num_pages=3 page_size=1 k_strides=94x47x1 "
            "v_cache_strides=98x98x49x1");
        value.descriptor.k_head_dim = value.descriptor.v_head_dim = length;
        value.k_cache_misalignment = value.v_cache_misalignment = cache_offset;
        value.k_misalignment = value.v_misalignment = source_offset;
        ASSERT_TRUE(passes(value, GetParam()));
      }
}

/// Only with --full, and for the newest target: each case takes some 10 GB and half a minute of the host.
TEST_P(KvCacheAppendTest, MoreThan2To31Elements) {
  if (!options().full || GetParam().name != targets_of(GetParam().device).back().name) GTEST_SKIP() << "needs --full";
  for (const char* fields : {
           "element=u8 layout=paged num_tokens=2 num_kv_heads=1 k_head_dim=65 v_head_dim=64 num_pages=2 page_size=1 "
           "k_cache_strides=2147483713x65x65x1 positions=1x0",
           "element=u8 layout=paged num_tokens=2 num_kv_heads=1 k_head_dim=65 v_head_dim=64 num_pages=2 page_size=1 "
           "k_strides=2147483713x65x1 positions=1x0",
           // More slots, or places, than the narrow kernel counts.
           "element=u8 layout=paged num_tokens=3 num_kv_heads=1 k_head_dim=1 num_pages=1073741830 page_size=2 "
           "positions=2147483651x0x2147483660 position_mode=some_invalid status=true",
           "element=u8 num_tokens=3 num_kv_heads=1 k_head_dim=1 num_sequences=1 max_seq_len=2147483660 "
           "positions=2147483657",
       })
    EXPECT_TRUE(passes(parse(fields), GetParam()));
}

TEST(KvCacheAppendCases, ACaseThatProvesNothingFails) {
  for (const char* fields :
       {"num_tokens=1 num_kv_heads=1 k_head_dim=1 v_head_dim=1 num_sequences=1 max_seq_len=1 positions=-1",
        "num_tokens=1 num_kv_heads=1 k_head_dim=1 num_sequences=1 max_seq_len=1 positions=7"}) {
    const Result<void> checked = check_kv_cache_append(parse(fields), targets_of(Device::cpu()).front());
    ASSERT_FALSE(checked);
    EXPECT_NE(checked.error().message.find("proves nothing"), std::string::npos) << checked.error().message;
  }
}

TEST(KvCacheAppendCases, TheyPrintAndReadBack) {
  std::vector<KvCacheAppendCase> cases = designed_kv_cache_append_cases();
  Random random(options().seed);
  for (int i = 0; i < 200; ++i) cases.push_back(random_kv_cache_append_case(random));
  for (const KvCacheAppendCase& value : cases) {
    const std::string text = to_string(value);
    const auto read = parse_case<KvCacheAppendCase>(KvCacheAppendPlan::kName, text);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(to_string(*read), text);
  }
}

// ---- known results and properties -----------------------------------------------------------------------------------

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

TEST_P(KvCacheAppendDeviceTest, BothLayoutsByHand) {
  struct Row {
    const char* fields;
    std::vector<std::byte> k_cache;
  };
  // Tokens 1 2 and 3 4, caches of zeros.
  for (const Row& row : {
           Row{"element=u8 layout=paged num_tokens=2 num_kv_heads=1 k_head_dim=2 num_pages=2 page_size=2 positions=3x0",
               bytes({3, 4, 0, 0, 0, 0, 1, 2})},
           Row{"element=u8 num_tokens=1 num_kv_heads=1 k_head_dim=2 num_sequences=2 max_seq_len=2 positions=1x0",
               bytes({0, 0, 1, 2, 3, 4, 0, 0})},
           Row{"element=u8 num_tokens=2 num_kv_heads=1 k_head_dim=2 num_sequences=1 max_seq_len=4 positions=1",
               bytes({0, 0, 1, 2, 3, 4, 0, 0})},
           // Two heads of one element each; in the cache the heads lie outside the tokens.
           Row{"element=u8 num_tokens=2 num_kv_heads=2 k_head_dim=1 num_sequences=1 max_seq_len=4 positions=1 "
               "k_cache_strides=8x1x4x1",
               bytes({0, 1, 3, 0, 0, 2, 4, 0})},
       }) {
    const auto buffers = run(parse(row.fields), [](KvCacheAppendBuffers& to) {
      std::ranges::copy(bytes({1, 2, 3, 4}), to.k.image().begin());
      std::ranges::fill(to.k_cache.image(), std::byte{0});
      return to.k.upload().and_then([&] { return to.k_cache.upload(); });
    });
    ASSERT_TRUE(buffers) << buffers.error().message;
    EXPECT_EQ(copy_of(buffers->k_cache.image()), row.k_cache) << row.fields;
  }
}

/// A paged case with more slots than tokens, at random.
KvCacheAppendCase draw_paged_case() {
  KvCacheAppendCase value;
  const std::int64_t num_tokens = draw(1, 20, "num_tokens"), page_size = draw(1, 5, "page_size");
  value.descriptor = {.element = draw(0, 1, "wide") ? Element::F32 : Element::U8,
                      .layout = KvCacheLayout::Paged,
                      .num_tokens = num_tokens,
                      .num_kv_heads = draw(1, 3, "num_kv_heads"),
                      .k_head_dim = draw(1, 40, "k_head_dim"),
                      .v_head_dim = draw(1, 9, "v_head_dim"),
                      .num_pages = num_tokens / page_size + draw(1, 3, "spare pages"),
                      .page_size = page_size};
  value.seed = static_cast<std::uint64_t>(draw(1, 1000, "seed"));
  return value;
}

TEST_P(KvCacheAppendDeviceTest, ScatteringAndGatheringGivesTheInputBack) {
  property("gather ∘ scatter = identity", [&] {
    const KvCacheAppendCase scatter = draw_paged_case();
    const auto pool = run(scatter, [](auto&) { return Result<void>(); });
    ASSERT_TRUE(pool) << pool.error().message;

    // The pool's slots are the tokens of a second append, each to the place of the token that it holds.
    const KvCacheAppendDescriptor& from = scatter.descriptor;
    const std::int64_t num_slots = from.num_pages * from.page_size;
    KvCacheAppendCase gather = scatter;
    gather.descriptor.num_tokens = num_slots;
    gather.descriptor.num_pages = from.num_tokens;
    gather.descriptor.page_size = 1;
    auto result = KvCacheAppendBuffers::create(gather, stream);
    ASSERT_TRUE(result) << result.error().message;
    std::vector<std::int64_t> token_of(static_cast<std::size_t>(num_slots), -1);
    for (std::size_t token = 0; token < pool->position_values().size(); ++token)
      token_of[static_cast<std::size_t>(pool->position_values()[token])] = static_cast<std::int64_t>(token);
    ASSERT_TRUE(result->set_positions(token_of));
    KvCacheAppendArgs args = result->args();
    args.k = pool->k_cache.tensor(from.element, result->k_place.shape);
    args.v = pool->v_cache.tensor(from.element, result->v_place.shape);
    const Result<void> ran = run(gather, args);
    ASSERT_TRUE(ran) << ran.error().message;
    ASSERT_TRUE(read_caches(*result));
    EXPECT_TRUE(compare_bytes("k", result->k_cache.image(), pool->k.image()));
    EXPECT_TRUE(compare_bytes("v", result->v_cache.image(), pool->v.image()));
  });
}

TEST_P(KvCacheAppendDeviceTest, TokensInAnotherOrderGiveTheSameCache) {
  property("rotated tokens with rotated slots", [&] {
    const KvCacheAppendCase value = draw_paged_case();
    const std::int64_t num_tokens = value.descriptor.num_tokens, shift = draw(0, num_tokens - 1, "shift");
    const auto rotate = [&](auto items) {
      std::ranges::rotate(items, items.begin() + static_cast<std::ptrdiff_t>(items.size()) / num_tokens * shift);
    };
    const auto one = run(value, [](auto&) { return Result<void>(); });
    const auto other = run(value, [&](KvCacheAppendBuffers& buffers) {
      rotate(buffers.k.image());
      rotate(buffers.v.image());
      rotate(buffers.positions.image());
      return buffers.k.upload().and_then([&] { return buffers.v.upload(); }).and_then([&] {
        return buffers.positions.upload();
      });
    });
    ASSERT_TRUE(one && other);
    EXPECT_TRUE(compare_bytes("k_cache", other->k_cache.image(), one->k_cache.image()));
    EXPECT_TRUE(compare_bytes("v_cache", other->v_cache.image(), one->v_cache.image()));
  });
}

/// A contiguous case, at random.
KvCacheAppendCase draw_contiguous_case() {
  KvCacheAppendCase value;
  const std::int64_t num_tokens = draw(1, 6, "num_tokens");
  value.descriptor = {.element = draw(0, 1, "wide") ? Element::F32 : Element::U8,
                      .num_tokens = num_tokens,
                      .num_kv_heads = draw(1, 3, "num_kv_heads"),
                      .k_head_dim = draw(1, 40, "k_head_dim"),
                      .v_head_dim = draw(1, 9, "v_head_dim"),
                      .num_sequences = draw(1, 4, "num_sequences"),
                      .max_seq_len = num_tokens + draw(0, 5, "spare places")};
  value.seed = static_cast<std::uint64_t>(draw(1, 1000, "seed"));
  return value;
}

TEST_P(KvCacheAppendDeviceTest, AContiguousCacheIsAPagedOneWithAPageForEachSequence) {
  property("contiguous = paged", [&] {
    const KvCacheAppendCase contiguous = draw_contiguous_case();
    const KvCacheAppendDescriptor& descriptor = contiguous.descriptor;
    KvCacheAppendCase paged = contiguous;
    paged.descriptor.layout = KvCacheLayout::Paged;
    paged.descriptor.num_tokens = descriptor.num_sequences * descriptor.num_tokens;
    paged.descriptor.num_pages = std::exchange(paged.descriptor.num_sequences, 0);
    paged.descriptor.page_size = std::exchange(paged.descriptor.max_seq_len, 0);

    auto one = KvCacheAppendBuffers::create(contiguous, stream);
    ASSERT_TRUE(one) << one.error().message;
    const auto other = run(paged, [&](KvCacheAppendBuffers& buffers) {
      for (auto [from, to] : {std::pair{&one->k, &buffers.k},
                              {&one->v, &buffers.v},
                              {&one->k_cache, &buffers.k_cache},
                              {&one->v_cache, &buffers.v_cache}}) {
        std::ranges::copy(from->image(), to->image().begin());
        if (Result<void> uploaded = to->upload(); !uploaded) return uploaded;
      }
      std::vector<std::int64_t> slots;
      for (std::int64_t sequence = 0; sequence < descriptor.num_sequences; ++sequence)
        for (std::int64_t token = 0; token < descriptor.num_tokens; ++token)
          slots.push_back(sequence * descriptor.max_seq_len +
                          one->position_values()[static_cast<std::size_t>(sequence)] + token);
      return buffers.set_positions(slots);
    });
    ASSERT_TRUE(other) << other.error().message;
    ASSERT_TRUE(run(contiguous, one->args()) && read_caches(*one));
    EXPECT_TRUE(compare_bytes("k_cache", other->k_cache.image(), one->k_cache.image()));
    EXPECT_TRUE(compare_bytes("v_cache", other->v_cache.image(), one->v_cache.image()));
  });
}

TEST_P(KvCacheAppendDeviceTest, TokensInTwoPartsAreTheWhole) {
  property("parts = whole", [&] {
    const KvCacheAppendCase value = draw_contiguous_case();
    const KvCacheAppendDescriptor& descriptor = value.descriptor;
    const std::int64_t cut = draw(0, descriptor.num_tokens, "cut");
    const auto whole = run(value, [](auto&) { return Result<void>(); });
    auto parts = KvCacheAppendBuffers::create(value, stream);
    ASSERT_TRUE(whole && parts);
    const auto append_tokens = [&](std::int64_t from, std::int64_t to) {
      KvCacheAppendCase part = value;
      part.descriptor.num_tokens = to - from;
      KvCacheAppendArgs args = parts->args();
      for (TensorRef* source : {&args.k, &args.v}) {
        source->shape[1] = to - from;
        source->data =
            static_cast<const std::byte*>(source->data) + from * source->strides[1] * element_bytes(descriptor.element);
      }
      return run(part, args);
    };
    ASSERT_TRUE(append_tokens(0, cut));
    std::vector<std::int64_t> positions(parts->position_values().begin(), parts->position_values().end());
    for (std::int64_t& position : positions) position += cut;
    ASSERT_TRUE(parts->set_positions(positions));
    ASSERT_TRUE(append_tokens(cut, descriptor.num_tokens));
    ASSERT_TRUE(read_caches(*parts));
    EXPECT_TRUE(compare_bytes("k_cache", parts->k_cache.image(), whole->k_cache.image()));
    EXPECT_TRUE(compare_bytes("v_cache", parts->v_cache.image(), whole->v_cache.image()));
  });
}

// ---- the rules ------------------------------------------------------------------------------------------------------

void expect_error(const Error& error, ErrorKind kind, const std::string& field, const std::string& what) {
  EXPECT_EQ(error.kind, kind) << what << ": " << error.message;
  EXPECT_NE(error.message.find("KvCacheAppendPlan"), std::string::npos) << what << ": " << error.message;
  EXPECT_NE(error.message.find(field), std::string::npos) << what << ": " << error.message;
}

struct DescriptorRule {
  const char* name;
  const char* base;
  std::function<void(KvCacheAppendDescriptor&)> spoil;
  ErrorKind kind;
  const char* field;
};

const std::vector<DescriptorRule>& descriptor_rules() {
  using D = KvCacheAppendDescriptor;
  constexpr auto kInvalid = ErrorKind::InvalidProblem, kUnsupported = ErrorKind::Unsupported;
  constexpr std::int64_t k2To40 = std::int64_t{1} << 40;
  static const std::vector<DescriptorRule> rules = {
      {"negative", kPaged, [](D& d) { d.num_tokens = -1; }, kInvalid, "num_tokens"},
      {"negative", kPaged, [](D& d) { d.num_kv_heads = -1; }, kInvalid, "num_kv_heads"},
      {"negative", kPaged, [](D& d) { d.k_head_dim = -1; }, kInvalid, "k_head_dim"},
      {"negative", kPaged, [](D& d) { d.v_head_dim = -1; }, kInvalid, "v_head_dim"},
      {"negative", kPaged, [](D& d) { d.num_pages = -1; }, kInvalid, "num_pages"},
      {"negative", kPaged, [](D& d) { d.page_size = -1; }, kInvalid, "page_size"},
      {"negative", kContiguous, [](D& d) { d.num_sequences = -1; }, kInvalid, "num_sequences"},
      {"negative", kContiguous, [](D& d) { d.max_seq_len = -1; }, kInvalid, "max_seq_len"},
      {"of the other layout", kPaged, [](D& d) { d.num_sequences = 1; }, kInvalid, "num_sequences"},
      {"of the other layout", kPaged, [](D& d) { d.max_seq_len = 1; }, kInvalid, "max_seq_len"},
      {"of the other layout", kContiguous, [](D& d) { d.num_pages = 1; }, kInvalid, "num_pages"},
      {"of the other layout", kContiguous, [](D& d) { d.page_size = 1; }, kInvalid, "page_size"},
      {"more than a sequence holds", kContiguous, [](D& d) { d.num_tokens = 7; }, kInvalid, "num_tokens"},
      {"2^63 elements of k", kPaged, [](D& d) { d.num_tokens = d.k_head_dim = k2To40; }, kInvalid, "shape"},
      {"2^63 bytes of v_cache", kPaged, [](D& d) { d.num_pages = d.v_head_dim = 1 << 30; }, kInvalid, "shape"},
      {"2^63 slots", kPaged, [](D& d) { d.num_kv_heads = 0, d.num_pages = d.page_size = k2To40; }, kInvalid,
       "page_size"},
      {"packed", kPaged, [](D& d) { d.element = Element::S4; }, kUnsupported, "element"},
      {"packed", kPaged, [](D& d) { d.element = Element::B1; }, kUnsupported, "element"},
      {"GGUF block", kPaged, [](D& d) { d.element = Element::Q8_0; }, kUnsupported, "element"},
      {"no element at all", kPaged, [](D& d) { d.element = static_cast<Element>(200); }, kUnsupported, "element"},
      {"no layout", kContiguous, [](D& d) { d.layout = static_cast<KvCacheLayout>(9); }, kUnsupported, "contiguous"},
  };
  return rules;
}

TEST(KvCacheAppendRules, Descriptors) {
  for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm80(), DeviceInfo::sm90a()})
    for (const DescriptorRule& rule : descriptor_rules()) {
      KvCacheAppendDescriptor descriptor = parse(rule.base).descriptor;
      ASSERT_TRUE(KvCacheAppendPlan::choose(descriptor, {}, device));
      rule.spoil(descriptor);
      const auto choice = KvCacheAppendPlan::choose(descriptor, {}, device);
      ASSERT_FALSE(choice) << rule.name << ", " << rule.field;
      expect_error(choice.error(), rule.kind, rule.field, rule.name);
    }
}

TEST_P(KvCacheAppendTest, SelectGivesTheErrorsOfChoose) {
  const Stream stream = *make_stream(GetParam().device);
  for (const DescriptorRule& rule : descriptor_rules()) {
    KvCacheAppendDescriptor descriptor = parse(rule.base).descriptor;
    rule.spoil(descriptor);
    const auto plan = KvCacheAppendPlan::select(stream, descriptor, GetParam().preference);
    ASSERT_FALSE(plan) << rule.name << ", " << rule.field;
    expect_error(plan.error(), rule.kind, rule.field, rule.name);
  }
}

TEST(KvCacheAppendRules, EveryByteWideElementIsServedAndNoOther) {
  for (const ElementInfo& info : kElements) {
    KvCacheAppendDescriptor descriptor = parse(kPaged).descriptor;
    descriptor.element = info.element;
    EXPECT_EQ(KvCacheAppendPlan::choose(descriptor, {}, DeviceInfo::sm80()).has_value(), info.layout.block_elems == 1)
        << info.name;
  }
}

TEST(KvCacheAppendRules, HugeSizesAreFine) {
  constexpr std::int64_t k2To40 = std::int64_t{1} << 40;
  KvCacheAppendDescriptor descriptor = parse(kPaged).descriptor;
  descriptor.num_pages = k2To40;
  EXPECT_TRUE(KvCacheAppendPlan::choose(descriptor, {}, DeviceInfo::sm90a()));
  // 2^40 · 2^40 · 0 has no element and no overflow.
  descriptor.num_tokens = descriptor.k_head_dim = descriptor.v_head_dim = k2To40;
  descriptor.num_kv_heads = 0;
  EXPECT_TRUE(KvCacheAppendPlan::choose(descriptor, {}, DeviceInfo::sm90a()));
  // What explain adds up passes 2^63 although no tensor does.
  descriptor = parse("element=u8 layout=paged num_tokens=4611686018427387904 num_kv_heads=1 k_head_dim=1 v_head_dim=1")
                   .descriptor;
  const auto explained = KvCacheAppendPlan::explain(descriptor, {}, DeviceInfo::sm90a());
  ASSERT_TRUE(explained);
  EXPECT_EQ(explained->bytes, std::numeric_limits<std::int64_t>::max());
}

/// A run that must be refused: `spoil` changes args that were sound.
struct ArgsRule {
  std::string name;
  std::function<void(KvCacheAppendArgs&)> spoil;
  ErrorKind kind;
  std::string field;
};

/// No arithmetic on the pointers, so that views can be made to point anywhere.
template <class View>
void move_data(View& view, std::int64_t bytes) {
  view.data = reinterpret_cast<decltype(view.data)>(reinterpret_cast<std::uintptr_t>(view.data) +
                                                    static_cast<std::uintptr_t>(bytes));
}

template <class View>
void unbound(View& view) {
  view.buffer.begin = 0;
  view.buffer.end = std::numeric_limits<std::uintptr_t>::max();
}

/// What ArgChecker has to say of any view. `get` finds it in the args.
template <class Get>
void add_view_rules(std::vector<ArgsRule>* rules, const std::string& field, Device elsewhere, Get get) {
  const auto add = [&](const char* name, auto spoil, ErrorKind kind, const std::string& named) {
    rules->push_back({field + ": " + name, [=](KvCacheAppendArgs& args) { spoil(get(args)); }, kind, named});
  };
  add(
      "elsewhere", [=](auto& view) { view.device = elsewhere; }, ErrorKind::InvalidProblem, field);
  add(
      "of another element", [](auto& view) { view.element = Element::U8; }, ErrorKind::Unsupported, field + ".element");
  add(
      "null", [](auto& view) { view.data = nullptr; }, ErrorKind::InvalidProblem, field + ".data");
  add(
      "misaligned", [](auto& view) { move_data(view, 1); }, ErrorKind::MisalignedOperand, field + ".data");
  add(
      "one byte too long for its buffer", [](auto& view) { --view.buffer.end; }, ErrorKind::BufferTooSmall, field);
  add(
      "ahead of its buffer", [](auto& view) { ++view.buffer.begin; }, ErrorKind::InvalidProblem, field);
  add(
      "in no buffer", [](auto& view) { view.buffer = {}; }, ErrorKind::BufferTooSmall, field);
}

template <class Get>
void add_tensor_rules(std::vector<ArgsRule>* rules, const std::string& field, Device elsewhere, Get get) {
  add_view_rules(rules, field, elsewhere, get);
  const auto add = [&](const char* name, auto spoil, ErrorKind kind, const std::string& named) {
    rules->push_back({field + ": " + name, [=](KvCacheAppendArgs& args) { spoil(get(args)); }, kind, named});
  };
  add(
      "of another shape", [](auto& view) { ++view.shape[1]; }, ErrorKind::InvalidProblem, field + ".shape");
  add(
      "of a smaller shape", [](auto& view) { --view.shape[0]; }, ErrorKind::InvalidProblem, field + ".shape");
  add(
      "of another rank",
      [](auto& view) {
        view.shape = view.strides = Dims{2, 2};
      },
      ErrorKind::InvalidProblem, field + ".shape");
  add(
      "with strides of another rank",
      [](auto& view) {
        view.strides = Dims{8, 1};
      },
      ErrorKind::InvalidProblem, field + ".strides");
  add(
      "with a stride that reaches too far", [](auto& view) { ++view.strides[0]; }, ErrorKind::BufferTooSmall, field);
  add(
      "backwards", [](auto& view) { view.strides[0] *= -1; }, ErrorKind::InvalidProblem, field);
  add(
      "around the address space", [](auto& view) { view.strides[0] = std::numeric_limits<std::int64_t>::max(); },
      ErrorKind::InvalidProblem, field);
  add(
      "with gaps in its rows", [](auto& view) { unbound(view), view.strides[view.rank() - 1] = 2; },
      ErrorKind::Unsupported, field + ".strides");
  add(
      "with broadcast rows", [](auto& view) { view.strides[view.rank() - 1] = 0; }, ErrorKind::Unsupported,
      field + ".strides");
}

TEST_P(KvCacheAppendTest, Args) {
  const Stream stream = *make_stream(GetParam().device);
  const Device elsewhere = stream.device().is_cpu() ? Device::cuda() : Device::cpu();
  constexpr auto kInvalid = ErrorKind::InvalidProblem;
  std::vector<ArgsRule> rules;
  add_tensor_rules(
      &rules, "k", elsewhere, [](auto& args) -> auto& { return args.k; });
  add_tensor_rules(
      &rules, "v", elsewhere, [](auto& args) -> auto& { return args.v; });
  add_tensor_rules(
      &rules, "k_cache", elsewhere, [](auto& args) -> auto& { return args.k_cache; });
  add_tensor_rules(
      &rules, "v_cache", elsewhere, [](auto& args) -> auto& { return args.v_cache; });
  add_view_rules(
      &rules, "positions", elsewhere, [](auto& args) -> auto& { return args.positions; });
  add_view_rules(
      &rules, "status", elsewhere, [](auto& args) -> auto& { return *args.status; });

  using Args = KvCacheAppendArgs;
  const auto put_at = [](auto& view, const auto& other) {
    view.data = const_cast<void*>(static_cast<const void*>(other.data));
    unbound(view);
  };
  for (const ArgsRule& rule : std::vector<ArgsRule>{
           {"too few positions", [](Args& a) { --a.positions.length; }, kInvalid, "positions.length"},
           {"no status", [](Args& a) { a.status->length = 0; }, kInvalid, "status.length"},
           {"a cache that repeats", [](Args& a) { a.k_cache.strides[1] = 0; }, kInvalid, "k_cache"},
           {"a cache that repeats", [](Args& a) { a.v_cache.strides[0] = a.v_cache.strides[1]; }, kInvalid, "v_cache"},
           {"a cache whose heads overlap", [](Args& a) { a.v_cache.strides[2] = 7; }, kInvalid, "v_cache"},
           {"k in k_cache", [=](Args& a) { put_at(a.k, a.k_cache); }, kInvalid, "k_cache and k overlap"},
           {"k in v_cache", [=](Args& a) { put_at(a.k, a.v_cache); }, kInvalid, "v_cache and k overlap"},
           {"v in k_cache", [=](Args& a) { put_at(a.v, a.k_cache); }, kInvalid, "k_cache and v overlap"},
           {"v in v_cache", [=](Args& a) { put_at(a.v, a.v_cache); }, kInvalid, "v_cache and v overlap"},
           {"positions in k_cache", [=](Args& a) { put_at(a.positions, a.k_cache); }, kInvalid,
            "k_cache and positions"},
           {"positions in v_cache", [=](Args& a) { put_at(a.positions, a.v_cache); }, kInvalid,
            "v_cache and positions"},
           {"status in k_cache", [=](Args& a) { put_at(*a.status, a.k_cache); }, kInvalid, "status and k_cache"},
           {"status in v_cache", [=](Args& a) { put_at(*a.status, a.v_cache); }, kInvalid, "status and v_cache"},
           {"status in k", [=](Args& a) { put_at(*a.status, a.k); }, kInvalid, "status and k overlap"},
           {"status in v", [=](Args& a) { put_at(*a.status, a.v); }, kInvalid, "status and v overlap"},
           {"status in positions", [=](Args& a) { put_at(*a.status, a.positions); }, kInvalid, "status and positions"},
           {"one cache for both", [=](Args& a) { put_at(a.v_cache, a.k_cache); }, kInvalid, "k_cache and v_cache"},
           {"caches a token apart", [=](Args& a) { put_at(a.v_cache, a.k_cache), move_data(a.v_cache, 2 * 24); },
            kInvalid, "k_cache and v_cache"},
       })
    rules.push_back(rule);

  for (const char* fields : {kContiguous, kPaged}) {
    const KvCacheAppendCase value = parse(fields);
    const auto plan = KvCacheAppendPlan::select(stream, value.descriptor, GetParam().preference);
    ASSERT_TRUE(plan) << plan.error().message;
    auto buffers = KvCacheAppendBuffers::create(value, stream);
    ASSERT_TRUE(buffers) << buffers.error().message;
    for (const ArgsRule& rule : rules) {
      KvCacheAppendArgs args = buffers->args();
      ASSERT_TRUE(plan->can_implement(args));
      rule.spoil(args);
      for (const Result<void>& refused : {plan->can_implement(args), plan->run(stream, Workspace::none(), args),
                                          plan->sku(args).transform([](auto&&) {})}) {
        ASSERT_FALSE(refused) << rule.name;
        expect_error(refused.error(), rule.kind, rule.field, rule.name);
      }
      const Result<void> untouched = buffers->expect_untouched();
      ASSERT_TRUE(untouched) << rule.name << ": " << untouched.error().message;
    }
    // The buffers were sound all the while.
    ASSERT_TRUE(plan->run(stream, Workspace::none(), buffers->args()));
    const Result<void> checked = buffers->check();
    EXPECT_TRUE(checked) << checked.error().message;
  }
}

/// [pages, 2, page_size, heads, head_dim] in one allocation is accepted; not, when anything of it is out of step.
TEST_P(KvCacheAppendDeviceTest, InterleavedCachesStepOverEachOther) {
  const KvCacheAppendCase value = parse(std::string(kPaged) + " k_cache_strides=96x24x8x1 interleaved_by=48");
  const auto plan = KvCacheAppendPlan::select(stream, value.descriptor);
  auto buffers = KvCacheAppendBuffers::create(value, stream);
  ASSERT_TRUE(plan && buffers);
  using Args = KvCacheAppendArgs;
  for (const ArgsRule& rule : std::vector<ArgsRule>{
           {"a token apart", [](Args& a) { move_data(a.v_cache, -2 * 24); }, ErrorKind::InvalidProblem,
            "k_cache and v_cache"},
           {"an element too far", [](Args& a) { move_data(a.k_cache, 2); }, ErrorKind::InvalidProblem,
            "k_cache and v_cache"},
           {"a shorter page", [](Args& a) { a.v_cache.strides[0] = 95; }, ErrorKind::InvalidProblem,
            "k_cache and v_cache"},
           {"half an element", [](Args& a) { move_data(a.v_cache, -1); }, ErrorKind::MisalignedOperand, "v_cache"},
       }) {
    Args args = buffers->args();
    rule.spoil(args);
    const Result<void> refused = plan->run(stream, Workspace::none(), args);
    ASSERT_FALSE(refused) << rule.name;
    expect_error(refused.error(), rule.kind, rule.field, rule.name);
    EXPECT_TRUE(buffers->expect_untouched());
  }
  ASSERT_TRUE(plan->run(stream, Workspace::none(), buffers->args()));
  const Result<void> checked = buffers->check();
  EXPECT_TRUE(checked) << checked.error().message;
}

TEST_P(KvCacheAppendDeviceTest, InterleavedCachesOfOnePageMayDisagreeOnItsStride) {
  KvCacheAppendCase value = parse(std::string(kPaged) + " k_cache_strides=96x24x8x1 interleaved_by=48");
  value.descriptor.num_pages = 1;
  value.descriptor.num_tokens = 1;
  const auto plan = KvCacheAppendPlan::select(stream, value.descriptor);
  auto buffers = KvCacheAppendBuffers::create(value, stream);
  ASSERT_TRUE(plan && buffers);
  KvCacheAppendArgs args = buffers->args();
  args.v_cache.strides[0] = -7;
  const Result<void> ran = plan->run(stream, Workspace::none(), args);
  ASSERT_TRUE(ran) << ran.error().message;
  const Result<void> checked = buffers->check();
  EXPECT_TRUE(checked) << checked.error().message;
}

TEST_P(KvCacheAppendDeviceTest, ShortBuffersSayWhatTheyNeed) {
  const KvCacheAppendCase value = parse(kPaged);
  const auto plan = KvCacheAppendPlan::select(stream, value.descriptor);
  const auto buffers = KvCacheAppendBuffers::create(value, stream);
  ASSERT_TRUE(plan && buffers);
  KvCacheAppendArgs args = buffers->args();
  args.v_cache.buffer.end -= 10;
  const Result<void> refused = plan->can_implement(args);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().needed, 3 * 2 * 3 * 8 * 2);
  EXPECT_EQ(refused.error().got, refused.error().needed - 10);
}

TEST_P(KvCacheAppendDeviceTest, AStreamOfAnotherDeviceIsRefused) {
  std::vector<Stream> others;
  if (GetParam().is_cuda()) others.push_back(Stream::cpu());
  for (int ordinal = 0; ordinal < num_cuda_devices(); ++ordinal)
    if (Device::cuda(ordinal) != GetParam())
      if (const auto made = Stream::cuda(ordinal)) others.push_back(*made);
  if (others.empty()) GTEST_SKIP() << "there is no other device";
  const KvCacheAppendCase value = parse(kPaged);
  const auto plan = KvCacheAppendPlan::select(stream, value.descriptor);
  ASSERT_TRUE(plan) << plan.error().message;
  const auto buffers = KvCacheAppendBuffers::create(value, stream);
  ASSERT_TRUE(buffers);
  for (const Stream& other : others) {
    const Result<void> refused = plan->run(other, Workspace::none(), buffers->args());
    ASSERT_FALSE(refused);
    expect_error(refused.error(), ErrorKind::InvalidProblem, "stream", other.device().name());
    EXPECT_TRUE(buffers->expect_untouched());
  }
}

/// What the narrow kernel cannot count makes the wide one, also where nothing is moved.
TEST_P(KvCacheAppendDeviceTest, HugeSizesWithoutElementsRun) {
  for (const char* fields :
       {"num_tokens=2 k_head_dim=8 num_sequences=2 max_seq_len=1099511627776 positions=7x1099511627775 status=true",
        "num_tokens=4294967296 num_sequences=1 max_seq_len=4294967296 positions=0 status=true",
        "layout=paged num_tokens=2 k_head_dim=8 page_size=4294967296 positions=0x-1 status=true",
        "layout=paged num_tokens=2 num_pages=4294967296 page_size=3 positions=12884901887x12884901888 status=true"}) {
    const KvCacheAppendCase value = parse(fields);
    auto buffers = KvCacheAppendBuffers::create(value, stream);
    ASSERT_TRUE(buffers) << buffers.error().message;
    const Result<void> ran = run(value, buffers->args());
    ASSERT_TRUE(ran) << fields << ": " << ran.error().message;
    const Result<void> checked = buffers->check();
    EXPECT_TRUE(checked) << fields << ": " << checked.error().message;
  }
}

/// Views of nothing may be null and have any strides, also where their products would overflow.
TEST_P(KvCacheAppendDeviceTest, ZeroTokensNeedNoPointers) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  for (const char* fields : {"num_kv_heads=3 k_head_dim=8 v_head_dim=8 num_sequences=2 max_seq_len=6",
                             "num_tokens=2 num_kv_heads=3 k_head_dim=8 v_head_dim=8 max_seq_len=6",
                             "layout=paged num_kv_heads=3 k_head_dim=8 v_head_dim=8 num_pages=3 page_size=2",
                             "layout=paged num_tokens=4 num_kv_heads=3 num_pages=3 page_size=2", ""}) {
    for (bool status : {false, true}) {
      KvCacheAppendCase value = parse(fields);
      value.status = status;
      auto buffers = KvCacheAppendBuffers::create(value, stream);
      ASSERT_TRUE(buffers) << buffers.error().message;
      KvCacheAppendArgs args = buffers->args();
      args.k = TensorRef(nullptr, value.descriptor.element, args.k.shape, Dims::filled(args.k.rank(), kMax),
                         stream.device(), {});
      args.v = TensorRef(nullptr, value.descriptor.element, args.v.shape, Dims::filled(args.v.rank(), kMax),
                         stream.device(), {});
      args.k.strides[args.k.rank() - 1] = args.v.strides[args.v.rank() - 1] = 1;
      const Result<void> ran = run(value, args);
      ASSERT_TRUE(ran) << fields << ": " << ran.error().message;
      const Result<void> checked = buffers->check();
      EXPECT_TRUE(checked) << fields << ": " << checked.error().message;
    }
  }
}

/// A pool without pages takes no token, however many rows a broadcast source claims.
TEST_P(KvCacheAppendDeviceTest, NothingIsAppendedToAPoolWithoutPages) {
  KvCacheAppendCase value =
      parse("element=u8 layout=paged num_tokens=3 num_kv_heads=1 k_head_dim=1 v_head_dim=1 page_size=2 status=true");
  auto buffers = KvCacheAppendBuffers::create(value, stream);
  ASSERT_TRUE(buffers) << buffers.error().message;
  value.descriptor.num_kv_heads = std::int64_t{1} << 50;
  KvCacheAppendArgs args = buffers->args();
  for (TensorRef* source : {&args.k, &args.v})
    source->shape[1] = value.descriptor.num_kv_heads, source->strides = {0, 0, 0};
  for (TensorMut* cache : {&args.k_cache, &args.v_cache}) cache->shape[2] = value.descriptor.num_kv_heads;
  const Result<void> ran = run(value, args);
  ASSERT_TRUE(ran) << ran.error().message;
  const Result<void> checked = buffers->check();
  EXPECT_TRUE(checked) << checked.error().message;
}

// ---- the choice -----------------------------------------------------------------------------------------------------

std::string sku_of(const char* fields, const PlanPreference& preference, const DeviceInfo& device) {
  const auto choice = KvCacheAppendPlan::choose(parse(fields).descriptor, preference, device);
  return choice ? choice->sku.to_string() : choice.error().to_string();
}

TEST(KvCacheAppendChoice, EveryArchHasItsSku) {
  DeviceInfo scalar_cpu = DeviceInfo::cpu();
  scalar_cpu.target = CodeTarget::for_cpu(CpuTarget::Scalar);
  for (const auto& [device, arch] : {std::pair<DeviceInfo, std::string>{DeviceInfo::sm80(), "sm80"},
                                     {DeviceInfo::sm89(), "sm89"},
                                     {DeviceInfo::sm90a(), "sm90a"},
                                     {DeviceInfo::cpu(), "cpu"},
                                     {scalar_cpu, "cpu"}}) {
    EXPECT_EQ(sku_of(kContiguous, {}, device), "kv_cache_append/f16:i64/-/-/contiguous/" + arch + "/bespoke");
    EXPECT_EQ(sku_of(kPaged, {}, device), "kv_cache_append/f16:i64/-/-/paged/" + arch + "/bespoke");
    const auto choice = KvCacheAppendPlan::choose(parse(kPaged).descriptor, {}, device);
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->sku.category, Category::DataMovement);
    EXPECT_EQ(choice->workspace_bytes, 0);
    EXPECT_FALSE(choice->workspace_must_be_zero);
    EXPECT_TRUE(choice->sku.guarantee.deterministic && choice->sku.guarantee.bit_stable_on_same_hardware);
  }
}

TEST(KvCacheAppendChoice, PreferencesAreMetOrUnsupported) {
  const DeviceInfo h200 = DeviceInfo::sm90a(), l40s = DeviceInfo::sm89();
  EXPECT_EQ(sku_of(kPaged, {.force_arch = Arch::Sm80}, h200), "kv_cache_append/f16:i64/-/-/paged/sm80@sm90/bespoke");
  EXPECT_EQ(sku_of(kPaged, {.force_arch = Arch::Sm80}, l40s), "kv_cache_append/f16:i64/-/-/paged/sm80/bespoke");
  EXPECT_EQ(sku_of(kPaged, {.exclude_archs = {Arch::Sm90a}}, h200),
            "kv_cache_append/f16:i64/-/-/paged/sm89@sm90/bespoke");
  DeviceInfo cpu = DeviceInfo::cpu();
  cpu.target = CodeTarget::for_cpu(CpuTarget::Avx512);
  EXPECT_EQ(sku_of(kPaged, {.force_cpu_target = CpuTarget::Scalar}, cpu),
            "kv_cache_append/f16:i64/-/-/paged/cpu@scalar/bespoke");
  for (Determinism determinism : {Determinism::RunToRun, Determinism::BatchInvariant, Determinism::MatchesCpu})
    for (const DeviceInfo& device : {h200, cpu})
      EXPECT_EQ(sku_of(kPaged,
                       {.determinism = determinism,
                        .max_workspace_bytes = 0,
                        .force_backend = Backend::Bespoke,
                        .autotune = true},
                       device),
                sku_of(kPaged, {}, device));

  struct Refused {
    DeviceInfo device;
    PlanPreference preference;
    const char* field;
  };
  for (const auto& [device, preference, field] : {
           Refused{h200, {.exclude_backends = {Backend::Bespoke}}, "excludes the backend bespoke"},
           Refused{cpu, {.exclude_backends = {Backend::Bespoke}}, "excludes the backend bespoke"},
           Refused{h200, {.force_backend = Backend::Driver}, "forces driver"},
           Refused{h200, {.force_arch = Arch::Cpu}, "force_arch"},
           Refused{l40s, {.force_arch = Arch::Sm90a}, "force_arch"},
           Refused{cpu, {.force_arch = Arch::Sm80}, "force_arch"},
           Refused{h200, {.exclude_archs = {Arch::Sm80, Arch::Sm89, Arch::Sm90a}}, "exclude_archs"},
           Refused{cpu, {.exclude_archs = {Arch::Cpu}}, "exclude_archs"},
           Refused{h200, {.force_cpu_target = CpuTarget::Avx2}, "force_cpu_target"},
       }) {
    const auto choice = KvCacheAppendPlan::choose(parse(kPaged).descriptor, preference, device);
    ASSERT_FALSE(choice) << field;
    expect_error(choice.error(), ErrorKind::Unsupported, field, device.name);
  }
}

TEST(KvCacheAppendChoice, ExplainGivesAReasonForEveryCandidate) {
  for (const DeviceInfo& device : {DeviceInfo::sm80(), DeviceInfo::sm89(), DeviceInfo::sm90a(), DeviceInfo::cpu()}) {
    const auto explained = KvCacheAppendPlan::explain(parse(kPaged).descriptor, {}, device);
    ASSERT_TRUE(explained) << explained.error().message;
    EXPECT_EQ(explained->choice.candidates.size(), 4u);
    EXPECT_EQ(explained->bytes, 2 * 2 * (4 * 3 * 8 * 2) + 4 * 8);
    EXPECT_EQ(explained->ops, 0);
    EXPECT_DOUBLE_EQ(explained->seconds, static_cast<double>(explained->bytes) / device.copy_bytes_per_second);
    int accepted = 0;
    for (const CandidateVerdict& candidate : explained->choice.candidates) {
      accepted += candidate.accepted;
      EXPECT_EQ(candidate.accepted, candidate.reason.empty()) << candidate.what;
    }
    EXPECT_EQ(accepted, 1);
    const std::string text = explained->to_string();
    for (const std::string& part : {explained->choice.sku.to_string(), device.name, std::string("the cache is paged")})
      EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

TEST_P(KvCacheAppendTest, ThePlanIsWhatWasChosen) {
  const Stream stream = *make_stream(GetParam().device);
  for (const char* fields : {kContiguous, kPaged}) {
    const KvCacheAppendDescriptor descriptor = parse(fields).descriptor;
    const auto plan = KvCacheAppendPlan::select(stream, descriptor, GetParam().preference);
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(plan->sku(), KvCacheAppendPlan::choose(descriptor, GetParam().preference, stream.device_info())->sku);
    EXPECT_EQ(plan->sku().arch, GetParam().preference.force_arch.value_or(Arch::Cpu));
    EXPECT_EQ(plan->descriptor(), descriptor);
    EXPECT_EQ(plan->workspace_size(), 0);
    EXPECT_FALSE(plan->workspace_must_be_zero());
    const auto buffers = KvCacheAppendBuffers::create(parse(fields), stream);
    ASSERT_TRUE(buffers);
    EXPECT_EQ(*plan->sku(buffers->args()), plan->sku());
  }
}

TEST(KvCacheAppendChoice, TheListsOfTheOpAreComplete) {
  const Op& op = kv_cache_append_op();
  EXPECT_EQ(op.skus(DeviceInfo::cpu()).size(), 2u * 17);
  EXPECT_TRUE(op.kernels({}, DeviceInfo::cpu()).empty());
  for (const DeviceInfo& device : {DeviceInfo::sm80(), DeviceInfo::sm89(), DeviceInfo::sm90a()}) {
    const std::vector<KernelSku> skus = op.skus(device);
    EXPECT_EQ(skus.size(), 2u * 17);
    for (const KernelSku& sku : skus) EXPECT_EQ(std::ranges::count(skus, sku), 1) << sku.to_string();
    EXPECT_EQ(op.kernels({}, device).size(), 2u * 5 * 2);
  }
}

// ---- claims ---------------------------------------------------------------------------------------------------------

TEST_P(KvCacheAppendDeviceTest, SixteenThreadsShareAPlan) {
  const KvCacheAppendCase value = parse(
      "layout=paged num_tokens=7 num_kv_heads=3 k_head_dim=40 v_head_dim=24 num_pages=4 page_size=3 status=true "
      "position_mode=some_invalid");
  const auto plan = KvCacheAppendPlan::select(stream, value.descriptor);
  ASSERT_TRUE(plan) << plan.error().message;
  std::mutex mutex;
  std::string failures;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 16; ++t)
      threads.emplace_back([&, t] {
        KvCacheAppendCase own = value;
        own.seed = static_cast<std::uint64_t>(t + 1);
        const Stream own_stream = *make_stream(GetParam());
        auto buffers = KvCacheAppendBuffers::create(own, own_stream);
        Result<void> result = buffers ? Result<void>() : buffers.error();
        for (int i = 0; i < 20 && result; ++i) {
          result = plan->run(own_stream, Workspace::none(), buffers->args());
          if (result) result = buffers->check();
        }
        const std::lock_guard lock(mutex);
        if (!result) failures += result.error().to_string() + "\n";
      });
  }
  EXPECT_EQ(failures, "");
}

TEST_P(KvCacheAppendDeviceTest, APlanCacheKeepsOnePlanForEachDescriptor) {
  PlanCache<KvCacheAppendPlan> cache;
  KvCacheAppendCase value = parse(kPaged);
  for (int round = 0; round < 2; ++round)
    for (std::int64_t num_tokens : {1, 2, 3}) {
      value.descriptor.num_tokens = num_tokens;
      const auto plan = cache.get(stream, value.descriptor);
      ASSERT_TRUE(plan) << plan.error().message;
      EXPECT_EQ(plan->descriptor(), value.descriptor);
      auto buffers = KvCacheAppendBuffers::create(value, stream);
      ASSERT_TRUE(buffers && plan->run(stream, Workspace::none(), buffers->args()));
      const Result<void> checked = buffers->check();
      EXPECT_TRUE(checked) << checked.error().message;
    }
  EXPECT_EQ(cache.size(), 3u);
  value.descriptor.page_size = -1;
  EXPECT_FALSE(cache.get(stream, value.descriptor));
  EXPECT_EQ(cache.size(), 3u);
}

/// `run` allocates nothing, takes no lock, reads no environment and formats nothing of ours.
TEST_P(KvCacheAppendTest, RunDoesOnlyWhatItMust) {
  if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions that are counted";
  const Stream stream = GetParam().device.is_cpu() ? Stream::cpu(2) : *make_stream(GetParam().device);
  for (const char* fields : {kContiguous, kPaged,
                             "element=f32 layout=paged num_tokens=700 num_kv_heads=8 k_head_dim=64 v_head_dim=64 "
                             "num_pages=90 page_size=8"}) {
    const KvCacheAppendCase value = parse(fields);
    const auto plan = KvCacheAppendPlan::select(stream, value.descriptor, GetParam().preference);
    auto buffers = KvCacheAppendBuffers::create(value, stream);
    ASSERT_TRUE(plan && buffers);
    const KvCacheAppendArgs args = buffers->args();
    CallCounter counter;
    const bool ran = plan->run(stream, Workspace::none(), args).has_value();
    EXPECT_EQ(counter.stop().total(), 0);
    EXPECT_TRUE(ran);
  }
}

TEST_P(KvCacheAppendCudaTest, ACapturedGraphAppendsAtMovingPositions) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  struct Row {
    const char* fields;
    std::vector<std::vector<std::int64_t>> positions;
  };
  for (const Row& row : {Row{kContiguous, {{0, 3}, {2, 4}, {4, 0}, {5, 1}, {-1, 4}, {1, kMax}, {0, 0}}},
                         Row{kPaged, {{0, 1, 2, 3}, {5, 4, 3, 2}, {-1, 0, -1, 1}, {6, 5, -2, 0}, {2, 0, 1, 5}}}}) {
    KvCacheAppendCase value = parse(row.fields);
    value.k_cache_misalignment = 6;
    const auto plan = KvCacheAppendPlan::select(stream, value.descriptor);
    auto buffers = KvCacheAppendBuffers::create(value, stream);
    ASSERT_TRUE(plan && buffers);
    const KvCacheAppendArgs args = buffers->args();
    const auto graph = CudaGraph::capture(stream, [&] { return plan->run(stream, Workspace::none(), args); });
    ASSERT_TRUE(graph) << graph.error().message;
    const Result<void> untouched = buffers->expect_untouched();
    ASSERT_TRUE(untouched) << "a capture runs nothing: " << untouched.error().message;
    Random random(3);
    for (const std::vector<std::int64_t>& positions : row.positions) {
      random.fill_bytes(buffers->k.image());
      random.fill_bytes(buffers->v.image());
      ASSERT_TRUE(buffers->k.upload() && buffers->v.upload() && buffers->set_positions(positions));
      ASSERT_TRUE(graph->replay(stream));
      const Result<void> checked = buffers->check();
      ASSERT_TRUE(checked) << row.fields << " at " << Dims(positions).to_string() << ": " << checked.error().message;
    }
  }
}

}  // namespace
}  // namespace baracuda::testing
