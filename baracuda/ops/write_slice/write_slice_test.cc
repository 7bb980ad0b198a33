#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <set>
#include <vector>

#include "baracuda/jit/nvrtc.h"
#include "baracuda/ops/write_slice/write_slice_case.h"
#include "testing/call_counter.h"
#include "testing/case_text.h"
#include "testing/compare.h"
#include "testing/cuda_graph.h"
#include "testing/guarded_buffer.h"
#include "testing/options.h"
#include "testing/property.h"

namespace baracuda::testing {
namespace {

/// A failure of a case prints the command that repeats it.
::testing::AssertionResult passes(const WriteSliceCase& value, const TestTarget& target) {
  Result<void> checked = check_write_slice(value, target);
  if (checked) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << target.name << ": " << checked.error().to_string()
                                       << "\n  baracuda verify --device " << target.device.name() << " --case \""
                                       << to_string(value) << '"';
}

WriteSliceCase parse(const std::string& fields) {
  auto value = parse_case<WriteSliceCase>("write_slice", "write_slice " + fields);
  EXPECT_TRUE(value) << value.error().message;
  return *value;
}

class WriteSliceTest : public ::testing::TestWithParam<TestTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, WriteSliceTest, ::testing::ValuesIn(test_targets()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WriteSliceTest);

class WriteSliceDeviceTest : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, WriteSliceDeviceTest, ::testing::ValuesIn(test_devices()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WriteSliceDeviceTest);

class WriteSliceCudaTest : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, WriteSliceCudaTest, ::testing::ValuesIn(cuda_test_devices()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WriteSliceCudaTest);

// ---- against the oracle ---------------------------------------------------------------------------------------------

TEST_P(WriteSliceTest, RandomCases) {
  Random random(options().seed);
  for (int i = 0; i < (options().full ? 4000 : 2000); ++i)
    ASSERT_TRUE(passes(random_write_slice_case(random), GetParam())) << "random case " << i;
}

TEST_P(WriteSliceTest, EdgeCases) {
  for (const char* fields : {
           "element=u8 dest=1 start=0 end=1",
           "element=f32 dest=8x16 start=0x0 end=8x16",
           "element=f32 dest=8x16 start=3x0 end=5x16",
           "element=complex128 dest=5x7 start=1x1 end=4x6",
           "element=bool dest=3x5x7 start=1x1x1 end=2x4x6",
           // one element; empty windows; empty destinations
           "element=f64 dest=9x9 start=4x4 end=5x5",
           "element=f32 dest=8x16 start=3x3 end=3x9",
           "element=f32 dest=0x16 start=0x3 end=0x9",
           "element=s4 dest=8x16 start=3x3 end=8x3",
           // both tensors backwards; broadcast; a transposed source; dest with gaps
           "element=f32 dest=6x50 start=1x2 end=5x47 dest_strides=-50x-1 source_strides=-45x-1",
           "element=u16 dest=6x50 start=1x2 end=5x47 source_strides=0x1",
           "element=u16 dest=6x50 start=1x2 end=5x47 source_strides=1x0",
           "element=u8 dest=6x50 start=1x2 end=5x47 source_strides=0x0",
           "element=f32 dest=40x50 start=1x2 end=39x47 source_strides=1x38",
           "element=u32 dest=40x50 start=1x2 end=39x47 source_strides=45x-1",
           "element=u64 dest=6x9 start=1x2 end=5x8 dest_strides=100x7",
           // eight axes
           "element=u8 dest=3x2x3x2x3x2x3x2 start=1x0x1x0x1x0x1x0 end=3x2x2x2x3x1x3x2",
           // rows of every kind of length at odd places
           "element=u8 dest=5x4099 start=1x3 end=4x4098 dest_misalignment=5 source_misalignment=11",
           "element=bf16 dest=4x3x900x8 start=0x0x77x0 end=4x3x877x8",
           "element=u8 dest=70000 start=1 end=69999 num_threads=4",
           // nibbles: rows that share bytes, both parities, whole bytes, strides of nibbles, backwards
           "element=s4 dest=7x9 start=0x0 end=7x9",
           "element=s4 dest=7x9 start=1x1 end=6x8",
           "element=u4 dest=7x9 start=1x2 end=6x5 source_strides=9x1",
           "element=u4 dest=16x64 start=2x8 end=9x40",
           "element=u4 dest=16x64 start=2x9 end=9x41",
           "element=s4 dest=7x9 start=1x1 end=6x8 dest_strides=-9x-1",
           "element=s4 dest=7x9 start=1x1 end=6x8 dest_strides=30x3 source_strides=1x5",
           "element=s4 dest=7x9 start=1x1 end=6x8 source_strides=0x0",
           "element=s4 dest=9 start=3 end=4",
           "element=s4 dest=33x1001 start=0x0 end=33x1001 num_threads=4",
           "element=s4 dest=333x1001 start=1x1 end=333x1000 num_threads=4",
           // positions on the device
           "element=f32 dest=8x16 start=0x0 end=2x16 device_starts=true starts=6x0 status=true",
           "element=f32 dest=8x16 start=0x0 end=2x16 device_starts=true starts=7x0 status=true",
           "element=f32 dest=8x16 start=0x0 end=2x16 device_starts=true starts=7x0",
           "element=f32 dest=8x16 start=0x0 end=2x16 device_starts=true starts=-1x0 status=true",
           "element=f32 dest=8x16 start=0x0 end=2x0 device_starts=true starts=7x0 status=true",
           "element=f32 dest=8x16 start=0x0 end=2x0 device_starts=true starts=6x16 status=true",
           "element=u8 dest=8x160 start=0x0 end=2x100 device_starts=true starts=3x59 status=true dest_strides=-160x-1",
           "element=s4 dest=8x16 start=0x0 end=2x16 device_starts=true starts=5x0",
           "element=s4 dest=8x16 start=0x0 end=2x5 device_starts=true starts=5x3 status=true",
           "element=s4 dest=7x9 start=0x0 end=2x9 device_starts=true starts=5x0 status=true",
       })
    EXPECT_TRUE(passes(parse(fields), GetParam()));
}

TEST_P(WriteSliceTest, HugeStartsNeitherOverflowNorWrite) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max(), kMin = std::numeric_limits<std::int64_t>::min();
  for (std::int64_t start : {kMax, kMax - 1, kMin, kMin + 1}) {
    WriteSliceCase value = parse("element=f32 dest=8x16 start=0x0 end=2x16 device_starts=true status=true");
    value.device_starts = {start, 0};
    EXPECT_TRUE(passes(value, GetParam()));
  }
}

/// Every (source, dest) offset mod 16 with every length up to 64, as one run and as rows whose pitch moves them on.
TEST_P(WriteSliceTest, OffsetSweepSanitizer) {
  const int step = options().full || GetParam().device.is_cpu() ? 1 : 5;
  for (int dest_offset = 0; dest_offset < 16; ++dest_offset)
    for (int source_offset = 0; source_offset < 16; ++source_offset)
      for (int length = (dest_offset + source_offset) % step; length <= 64; length += step)
        for (std::int64_t rows : {1, 3}) {
          WriteSliceCase value;
          value.descriptor = {Element::U8, {rows, 97}, {0, 3}, {rows, 3 + length}, false};
          value.dest_misalignment = dest_offset;
          value.source_misalignment = source_offset;
          ASSERT_TRUE(passes(value, GetParam()));
        }
}

/// The sanitizers run this suite too: small cases of every variant and element width.
TEST_P(WriteSliceTest, CoveringSetSanitizer) {
  Random random(options().seed + 1);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(passes(random_write_slice_case(random), GetParam()));
}

TEST_P(WriteSliceDeviceTest, ANibbleWindowInTwoPartsIsTheWholeWindow) {
  property("parts = whole", [&] {
    const std::int64_t rows = draw(1, 9, "rows"), cols = draw(1, 40, "cols");
    const std::int64_t cut =
        2 * draw(0, rows / 2, "half the cut");  // even, so that a pointer can name its first nibble
    const Stream stream = *make_stream(GetParam());
    const std::int64_t bytes = (rows * cols + 1) / 2;
    Random random(7);
    GuardedBuffer whole = *GuardedBuffer::create("whole", stream, bytes, random);
    GuardedBuffer parts = *GuardedBuffer::create("parts", stream, bytes, random);
    GuardedBuffer source = *GuardedBuffer::create("source", stream, bytes, random);
    std::ranges::copy(whole.image(), parts.image().begin());
    ASSERT_TRUE(whole.upload() && parts.upload() && source.upload());
    const auto write_rows = [&](const GuardedBuffer& dest, std::int64_t from, std::int64_t to) {
      const auto plan = WriteSlicePlan::select(stream, {Element::S4, {rows, cols}, {from, 0}, {to, cols}});
      ASSERT_TRUE(plan) << plan.error().message;
      const Result<void> ran = plan->run(stream, Workspace::none(),
                                         {.dest = dest.tensor(Element::S4, {rows, cols}),
                                          .source = source.tensor(Element::S4, {to - from, cols}, from * cols / 2)});
      ASSERT_TRUE(ran) << ran.error().message;
    };
    write_rows(whole, 0, rows);
    write_rows(parts, 0, cut);
    write_rows(parts, cut, rows);
    ASSERT_TRUE(whole.download() && parts.download());
    const Result<void> same = compare_bytes("parts", parts.image(), whole.image());
    EXPECT_TRUE(same) << same.error().message;
  });
}

// ---- the rules ------------------------------------------------------------------------------------------------------

struct DescriptorRule {
  const char* name;
  WriteSliceDescriptor descriptor;
  ErrorKind kind;
  const char* field;
};

const std::vector<DescriptorRule>& descriptor_rules() {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  static const std::vector<DescriptorRule> rules = {
      {"rank 0", {Element::F32, {}, {}, {}}, ErrorKind::InvalidProblem, "dest_shape"},
      {"rank 9",
       {Element::F32, Dims::filled(9, 1), Dims::filled(9, 0), Dims::filled(9, 1)},
       ErrorKind::Unsupported,
       "dest_shape"},
      {"start of another rank", {Element::F32, {4, 4}, {0}, {4, 4}}, ErrorKind::InvalidProblem, "start"},
      {"end of another rank", {Element::F32, {4, 4}, {0, 0}, {4, 4, 4}}, ErrorKind::InvalidProblem, "end"},
      {"negative extent", {Element::F32, {4, -4}, {0, 0}, {4, 0}}, ErrorKind::InvalidProblem, "dest_shape[1]"},
      {"negative start", {Element::F32, {4, 4}, {-1, 0}, {4, 4}}, ErrorKind::InvalidProblem, "start[0]"},
      {"start past end", {Element::F32, {4, 4}, {0, 3}, {4, 2}}, ErrorKind::InvalidProblem, "start[1]"},
      {"end past the shape", {Element::F32, {4, 4}, {0, 0}, {4, 5}}, ErrorKind::InvalidProblem, "end[1]"},
      {"end past the shape, positions on the device",
       {Element::F32, {4, 4}, {0, 0}, {4, 5}, true},
       ErrorKind::InvalidProblem,
       "end[1]"},
      {"2^63 elements", {Element::U8, {kMax, 2}, {0, 0}, {1, 1}}, ErrorKind::InvalidProblem, "dest_shape"},
      {"2^63 bytes", {Element::F64, {kMax / 4}, {0}, {1}}, ErrorKind::InvalidProblem, "dest_shape"},
      {"1-bit", {Element::B1, {8}, {0}, {8}}, ErrorKind::Unsupported, "element"},
      {"GGUF block", {Element::Q4_K, {256}, {0}, {256}}, ErrorKind::Unsupported, "element"},
      {"no element at all", {static_cast<Element>(200), {8}, {0}, {8}}, ErrorKind::Unsupported, "element"},
  };
  return rules;
}

TEST(WriteSliceRules, Descriptors) {
  for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm80(), DeviceInfo::sm90a()})
    for (const DescriptorRule& rule : descriptor_rules()) {
      const auto choice = WriteSlicePlan::choose(rule.descriptor, {}, device);
      ASSERT_FALSE(choice) << rule.name;
      EXPECT_EQ(choice.error().kind, rule.kind) << rule.name;
      EXPECT_NE(choice.error().message.find("WriteSlicePlan"), std::string::npos) << choice.error().message;
      EXPECT_NE(choice.error().message.find(rule.field), std::string::npos) << choice.error().message;
    }
}

TEST_P(WriteSliceTest, SelectGivesTheErrorsOfChoose) {
  const Stream stream = *make_stream(GetParam().device);
  for (const DescriptorRule& rule : descriptor_rules()) {
    const auto plan = WriteSlicePlan::select(stream, rule.descriptor, GetParam().preference);
    ASSERT_FALSE(plan) << rule.name;
    EXPECT_EQ(plan.error().kind, rule.kind) << rule.name;
  }
}

TEST(WriteSliceRules, EveryGgufAndPackedKindButS4AndU4IsUnsupported) {
  for (const ElementInfo& info : kElements) {
    const auto choice = WriteSlicePlan::choose({info.element, {512}, {0}, {512}}, {}, DeviceInfo::cpu());
    const bool served = info.layout.block_elems == 1 || info.element == Element::S4 || info.element == Element::U4;
    EXPECT_EQ(choice.has_value(), served) << info.name;
    if (choice) continue;
    EXPECT_EQ(choice.error().kind, ErrorKind::Unsupported) << info.name;
  }
}

TEST(WriteSliceRules, SizesPast2To31AreFine) {
  constexpr std::int64_t k2To40 = std::int64_t{1} << 40;
  for (Element element : {Element::U8, Element::F32, Element::S4})
    for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm90a()}) {
      EXPECT_TRUE(WriteSlicePlan::choose({element, {k2To40, 1 << 20}, {1, 1}, {k2To40 - 1, 1 << 19}}, {}, device));
      const auto explained = WriteSlicePlan::explain({element, {k2To40}, {0}, {k2To40}}, {}, device);
      ASSERT_TRUE(explained);
      const std::int64_t bytes_each_pair = element == Element::S4 ? 1 : 2 * element_bytes(element);
      EXPECT_EQ(explained->bytes, k2To40 * bytes_each_pair);
    }
  // 2^40 · 2^40 · 0 has no element and no overflow.
  EXPECT_TRUE(WriteSlicePlan::choose({Element::F32, {k2To40, k2To40, 0}, {0, 0, 0}, {k2To40, k2To40, 0}}, {},
                                     DeviceInfo::cpu()));
}

/// A run that must be refused: `spoil` changes args that were sound.
struct ArgsRule {
  const char* name;
  std::function<void(WriteSliceArgs&)> spoil;
  ErrorKind kind;
  const char* field;
};

TEST_P(WriteSliceTest, Args) {
  const Stream stream = *make_stream(GetParam().device);
  Random random(3);
  // dest[1:3, 1:5] of a 4×6 f32, with and without positions on the device. One allocation holds all, so that views can
  // overlap.
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 1024, random);
  std::memset(memory.image().data() + 512, 0, 16);  // the positions
  ASSERT_TRUE(memory.upload());
  const auto view = [&](Dims shape, std::int64_t offset) { return memory.tensor(Element::F32, shape, offset); };
  const Device elsewhere = stream.device().is_cpu() ? Device::cuda() : Device::cpu();

  const std::vector<ArgsRule> rules = {
      {"dest elsewhere", [&](auto& a) { a.dest.device = elsewhere; }, ErrorKind::InvalidProblem, "dest"},
      {"source elsewhere", [&](auto& a) { a.source.device = elsewhere; }, ErrorKind::InvalidProblem, "source"},
      {"dest of another element", [&](auto& a) { a.dest.element = Element::I32; }, ErrorKind::Unsupported,
       "dest.element"},
      {"source of another element", [&](auto& a) { a.source.element = Element::F64; }, ErrorKind::Unsupported,
       "source.element"},
      {"dest of another shape",
       [&](auto& a) {
         a.dest = view({4, 5}, 0);
       },
       ErrorKind::InvalidProblem, "dest.shape"},
      {"source of another shape",
       [&](auto& a) {
         a.source = view({4, 2}, 256);
       },
       ErrorKind::InvalidProblem, "source.shape"},
      {"source of another rank", [&](auto& a) { a.source = view({8}, 256); }, ErrorKind::InvalidProblem,
       "source.shape"},
      {"too few strides", [&](auto& a) { a.source.strides = {1}; }, ErrorKind::InvalidProblem, "source.strides"},
      {"null dest", [&](auto& a) { a.dest.data = nullptr; }, ErrorKind::InvalidProblem, "dest.data"},
      {"null source", [&](auto& a) { a.source.data = nullptr; }, ErrorKind::InvalidProblem, "source.data"},
      {"misaligned dest", [&](auto& a) { a.dest.data = static_cast<char*>(a.dest.data) + 2; },
       ErrorKind::MisalignedOperand, "dest.data"},
      {"misaligned source", [&](auto& a) { a.source.data = static_cast<const char*>(a.source.data) + 1; },
       ErrorKind::MisalignedOperand, "source.data"},
      {"dest past its buffer", [&](auto& a) { a.dest.buffer.end = a.dest.buffer.begin + 95; },
       ErrorKind::BufferTooSmall, "dest"},
      {"source past its buffer",
       [&](auto& a) {
         a.source.strides = {400, 1};
       },
       ErrorKind::BufferTooSmall, "source"},
      {"dest before its buffer",
       [&](auto& a) {
         a.dest.strides = {-6, 1};
       },
       ErrorKind::InvalidProblem, "dest"},
      {"strides past 2^63",
       [&](auto& a) {
         a.dest.strides = {std::numeric_limits<std::int64_t>::max() / 2, 1};
       },
       ErrorKind::InvalidProblem, "dest"},
      {"least stride of all",
       [&](auto& a) {
         a.source.strides = {std::numeric_limits<std::int64_t>::min(), 1};
       },
       ErrorKind::InvalidProblem, "source"},
      {"dest broadcast onto itself",
       [&](auto& a) {
         a.dest.strides = {0, 1};
       },
       ErrorKind::InvalidProblem, "dest"},
      {"dest rows that overlap",
       [&](auto& a) {
         a.dest.strides = {5, 1};
       },
       ErrorKind::InvalidProblem, "dest"},
      {"source is dest",
       [&](auto& a) {
         a.source = view({2, 4}, 0);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"source ends in dest",
       [&](auto& a) {
         a.dest = view({4, 6}, 256);
         a.source = view({2, 4}, 256 - 28);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"source inside dest, outside the window",
       [&](auto& a) {
         a.source = memory.tensor(Element::F32, {2, 4}, {0, 0}, 0);
       },
       ErrorKind::InvalidProblem, "overlap"},
  };
  const std::vector<ArgsRule> fixed_rules = {
      {"starts forbidden", [&](auto& a) { a.device_starts = memory.vector(Element::I64, 2, 512); },
       ErrorKind::InvalidProblem, "device_starts"},
      {"status forbidden", [&](auto& a) { a.status = memory.vector(Element::I32, 1, 600); }, ErrorKind::InvalidProblem,
       "status"},
  };
  const std::vector<ArgsRule> moving_rules = {
      {"starts missing", [&](auto& a) { a.device_starts.reset(); }, ErrorKind::InvalidProblem, "device_starts"},
      {"starts short", [&](auto& a) { a.device_starts->length = 1; }, ErrorKind::InvalidProblem,
       "device_starts.length"},
      {"starts of i32", [&](auto& a) { a.device_starts->element = Element::I32; }, ErrorKind::Unsupported,
       "device_starts.element"},
      {"starts null", [&](auto& a) { a.device_starts->data = nullptr; }, ErrorKind::InvalidProblem,
       "device_starts.data"},
      {"starts misaligned", [&](auto& a) { a.device_starts = memory.vector(Element::I64, 2, 516); },
       ErrorKind::MisalignedOperand, "device_starts.data"},
      {"starts elsewhere", [&](auto& a) { a.device_starts->device = elsewhere; }, ErrorKind::InvalidProblem,
       "device_starts"},
      {"starts past their buffer", [&](auto& a) { a.device_starts->buffer.end = a.device_starts->buffer.begin; },
       ErrorKind::BufferTooSmall, "device_starts"},
      {"starts in dest", [&](auto& a) { a.device_starts = memory.vector(Element::I64, 2, 8); },
       ErrorKind::InvalidProblem, "overlap"},
      {"status of i64", [&](auto& a) { a.status->element = Element::I64; }, ErrorKind::Unsupported, "status.element"},
      {"status empty", [&](auto& a) { a.status->length = 0; }, ErrorKind::InvalidProblem, "status.length"},
      {"status null", [&](auto& a) { a.status->data = nullptr; }, ErrorKind::InvalidProblem, "status.data"},
      {"status in dest", [&](auto& a) { a.status = memory.vector(Element::I32, 1, 20); }, ErrorKind::InvalidProblem,
       "overlap"},
      {"status in source", [&](auto& a) { a.status = memory.vector(Element::I32, 1, 260); }, ErrorKind::InvalidProblem,
       "overlap"},
      {"status in starts", [&](auto& a) { a.status = memory.vector(Element::I32, 1, 520); }, ErrorKind::InvalidProblem,
       "overlap"},
  };

  for (bool device_starts : {false, true}) {
    const WriteSliceDescriptor descriptor{Element::F32, {4, 6}, {1, 1}, {3, 5}, device_starts};
    const auto plan = WriteSlicePlan::select(stream, descriptor, GetParam().preference);
    ASSERT_TRUE(plan) << plan.error().message;
    WriteSliceArgs sound{.dest = view({4, 6}, 0), .source = view({2, 4}, 256)};
    if (device_starts) {
      sound.device_starts = memory.vector(Element::I64, 2, 512);
      sound.status = memory.vector(Element::I32, 1, 600);
    }
    EXPECT_TRUE(plan->can_implement(sound)) << plan->can_implement(sound).error().message;

    std::vector<ArgsRule> all = rules;
    const auto& more = device_starts ? moving_rules : fixed_rules;
    all.insert(all.end(), more.begin(), more.end());
    for (const ArgsRule& rule : all) {
      WriteSliceArgs args = sound;
      rule.spoil(args);
      for (const Result<void>& refused : {plan->can_implement(args), plan->run(stream, Workspace::none(), args)}) {
        ASSERT_FALSE(refused) << rule.name;
        EXPECT_EQ(refused.error().kind, rule.kind) << rule.name << ": " << refused.error().message;
        EXPECT_NE(refused.error().message.find("WriteSlicePlan"), std::string::npos) << refused.error().message;
        EXPECT_NE(refused.error().message.find(rule.field), std::string::npos)
            << rule.name << ": " << refused.error().message;
      }
    }
    ASSERT_TRUE(stream.synchronize());
    const Result<void> untouched = memory.expect_unchanged();
    EXPECT_TRUE(untouched) << untouched.error().message;
  }
}

TEST_P(WriteSliceTest, BufferTooSmallTellsHowMuch) {
  const Stream stream = *make_stream(GetParam().device);
  const auto plan = *WriteSlicePlan::select(stream, {Element::F32, {4, 6}, {1, 1}, {3, 5}}, GetParam().preference);
  Random random(3);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 512, random);
  WriteSliceArgs args{.dest = memory.tensor(Element::F32, {4, 6}), .source = memory.tensor(Element::F32, {2, 4}, 256)};
  args.dest.buffer.end = args.dest.buffer.begin + 90;
  const Result<void> refused = plan.run(stream, Workspace::none(), args);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().needed, 96);
  EXPECT_EQ(refused.error().got, 90);
}

TEST_P(WriteSliceCudaTest, AStreamOfAnotherDeviceIsRefused) {
  const WriteSliceDescriptor nothing{Element::F32, {0}, {0}, {0}};
  const auto plan = *WriteSlicePlan::select(*make_stream(GetParam()), nothing);
  const Result<void> refused = plan.run(Stream::cpu(), Workspace::none(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::InvalidProblem);
  EXPECT_NE(refused.error().message.find("WriteSlicePlan: stream"), std::string::npos) << refused.error().message;
}

TEST_P(WriteSliceTest, AnEmptyWindowNeedsNoPointers) {
  const Stream stream = *make_stream(GetParam().device);
  const auto plan = *WriteSlicePlan::select(stream, {Element::F32, {0, 6}, {0, 0}, {0, 6}}, GetParam().preference);
  const Result<void> ran = plan.run(stream, Workspace::none(),
                                    {.dest = {nullptr, Element::F32, {0, 6}, stream.device()},
                                     .source = {nullptr, Element::F32, {0, 6}, stream.device()}});
  EXPECT_TRUE(ran) << ran.error().message;
}

// ---- the choice -----------------------------------------------------------------------------------------------------

std::string sku_of(const WriteSliceDescriptor& descriptor, const DeviceInfo& device,
                   const PlanPreference& preference = {}) {
  const auto choice = WriteSlicePlan::choose(descriptor, preference, device);
  return choice ? choice->sku.to_string() : choice.error().to_string();
}

TEST(WriteSliceChoice, VariantsFollowFromTheDescriptor) {
  const DeviceInfo h200 = DeviceInfo::sm90a();
  EXPECT_EQ(sku_of({Element::F32, {8, 16}, {0, 0}, {8, 16}}, h200), "write_slice/f32/-/-/whole_dest/sm90a/driver");
  EXPECT_EQ(sku_of({Element::F32, {8, 16}, {2, 0}, {5, 16}}, h200),
            "write_slice/f32/-/-/contiguous_chunk/sm90a/driver");
  EXPECT_EQ(sku_of({Element::F32, {8, 16}, {2, 5}, {3, 9}}, h200), "write_slice/f32/-/-/contiguous_chunk/sm90a/driver");
  EXPECT_EQ(sku_of({Element::F32, {8, 16}, {2, 1}, {5, 16}}, h200), "write_slice/f32/-/-/rows/sm90a/bespoke");
  EXPECT_EQ(sku_of({Element::F32, {8, 16}, {2, 1}, {5, 4}}, h200), "write_slice/f32/-/-/generic/sm90a/bespoke");
  EXPECT_EQ(sku_of({Element::F32, {8, 16}, {0, 0}, {8, 16}, true}, h200), "write_slice/f32:i64/-/-/rows/sm90a/bespoke");
  EXPECT_EQ(sku_of({Element::S4, {8, 16}, {0, 0}, {8, 16}}, h200), "write_slice/s4/-/-/whole_dest/sm90a/driver");
  EXPECT_EQ(sku_of({Element::S4, {7, 9}, {0, 0}, {7, 9}}, h200), "write_slice/s4/-/-/nibbles/sm90a/bespoke");
  EXPECT_EQ(sku_of({Element::S4, {8, 16}, {0, 1}, {8, 9}}, h200), "write_slice/s4/-/-/nibbles/sm90a/bespoke");
  EXPECT_EQ(sku_of({Element::S4, {8, 16}, {0, 2}, {8, 10}}, h200), "write_slice/s4/-/-/rows/sm90a/bespoke");
  EXPECT_EQ(sku_of({Element::F32, {8, 16}, {2, 0}, {5, 16}}, DeviceInfo::cpu()),
            "write_slice/f32/-/-/contiguous_chunk/cpu/bespoke");
}

TEST(WriteSliceChoice, PreferencesAreMetOrRefused) {
  const WriteSliceDescriptor chunk{Element::F32, {8, 16}, {2, 0}, {5, 16}};
  const WriteSliceDescriptor narrow{Element::F32, {8, 16}, {2, 1}, {5, 4}};
  const DeviceInfo h200 = DeviceInfo::sm90a();
  EXPECT_EQ(sku_of(chunk, h200, {.force_backend = Backend::Bespoke}), "write_slice/f32/-/-/rows/sm90a/bespoke");
  EXPECT_EQ(sku_of(chunk, h200, {.exclude_backends = {Backend::Driver}}), "write_slice/f32/-/-/rows/sm90a/bespoke");
  EXPECT_EQ(sku_of(chunk, h200, {.force_arch = Arch::Sm80}), "write_slice/f32/-/-/contiguous_chunk/sm80@sm90/driver");
  EXPECT_EQ(sku_of(chunk, h200, {.exclude_archs = {Arch::Sm90a}}),
            "write_slice/f32/-/-/contiguous_chunk/sm89@sm90/driver");
  EXPECT_EQ(sku_of(chunk, DeviceInfo::cpu(), {.force_cpu_target = CpuTarget::Scalar}).substr(0, 45),
            "write_slice/f32/-/-/contiguous_chunk/cpu@scal");
  for (Determinism determinism : {Determinism::RunToRun, Determinism::BatchInvariant, Determinism::MatchesCpu})
    EXPECT_TRUE(WriteSlicePlan::choose(chunk, {.determinism = determinism, .max_workspace_bytes = 0}, h200));

  const std::vector<PlanPreference> refused = {
      {.force_backend = Backend::Cublas},
      {.force_arch = Arch::Cpu},
      {.exclude_archs = {Arch::Sm80, Arch::Sm89, Arch::Sm90a}},
      {.force_cpu_target = CpuTarget::Avx2},
      {.exclude_backends = {Backend::Driver, Backend::Bespoke}},
      {.autotune = true},  // the chunk and the rows both qualify
  };
  for (const PlanPreference& preference : refused) {
    const auto choice = WriteSlicePlan::choose(chunk, preference, h200);
    ASSERT_FALSE(choice);
    EXPECT_EQ(choice.error().kind, ErrorKind::Unsupported);
    EXPECT_NE(choice.error().message.find("WriteSlicePlan"), std::string::npos);
  }
  EXPECT_EQ(WriteSlicePlan::choose(narrow, {.force_backend = Backend::Driver}, h200).error().kind,
            ErrorKind::Unsupported);
  EXPECT_EQ(WriteSlicePlan::choose(chunk, {.force_arch = Arch::Sm90a}, DeviceInfo::sm80()).error().kind,
            ErrorKind::Unsupported);
  EXPECT_EQ(WriteSlicePlan::choose(chunk, {.max_workspace_bytes = -1}, h200).error().kind, ErrorKind::InvalidProblem);
  EXPECT_EQ(sku_of(narrow, h200, {.autotune = true}), "write_slice/f32/-/-/generic/sm90a/bespoke");
}

TEST(WriteSliceChoice, ExplainGivesAReasonForEveryCandidate) {
  const auto explained = WriteSlicePlan::explain({Element::F32, {8, 16}, {2, 1}, {5, 16}}, {}, DeviceInfo::sm90a());
  ASSERT_TRUE(explained);
  EXPECT_EQ(explained->choice.candidates.size(), 5u);
  EXPECT_EQ(explained->bytes, 2 * 3 * 15 * 4);
  EXPECT_EQ(explained->ops, 0);
  EXPECT_GT(explained->seconds, 0);
  int accepted = 0;
  for (const CandidateVerdict& candidate : explained->choice.candidates) {
    accepted += candidate.accepted;
    EXPECT_EQ(candidate.accepted, candidate.reason.empty());
  }
  EXPECT_EQ(accepted, 1);
  const std::string text = explained->to_string();
  for (const char* part : {"write_slice/f32/-/-/rows/sm90a/bespoke", "NVIDIA H200", "taken", "not taken"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_P(WriteSliceTest, TheSkuOfArgsFollowsTheirStrides) {
  const Stream stream = *make_stream(GetParam().device);
  const auto plan = *WriteSlicePlan::select(stream, {Element::F32, {8, 16}, {0, 0}, {8, 16}}, GetParam().preference);
  Random random(3);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 8192, random);
  const auto variant = [&](Dims dest_strides, Dims source_strides) {
    const auto sku = plan.sku(WriteSliceArgs{.dest = memory.tensor(Element::F32, {8, 16}, dest_strides),
                                             .source = memory.tensor(Element::F32, {8, 16}, source_strides, 4096)});
    return sku ? std::string(sku->variant) : sku.error().message;
  };
  EXPECT_EQ(plan.sku().variant, "whole_dest");
  EXPECT_EQ(variant({16, 1}, {16, 1}), "whole_dest");
  EXPECT_EQ(variant({1, 8}, {1, 8}), "whole_dest");
  EXPECT_EQ(variant({20, 1}, {16, 1}), "rows");
  EXPECT_EQ(variant({16, 1}, {0, 1}), "rows");
  EXPECT_EQ(variant({16, 1}, {1, 8}), "generic");
  EXPECT_NE(variant({16, 1}, {16, 0}), "whole_dest");
  EXPECT_EQ(plan.workspace_size(), 0);
  EXPECT_FALSE(plan.workspace_must_be_zero());
  EXPECT_TRUE(plan.precision_guarantee().bit_stable_on_same_hardware);
}

TEST_P(WriteSliceCudaTest, StridesThatNeedAnExcludedVariantAreRefused) {
  const Stream stream = *make_stream(GetParam());
  const auto plan =
      WriteSlicePlan::select(stream, {Element::F32, {8, 16}, {0, 0}, {8, 16}}, {.force_backend = Backend::Driver});
  ASSERT_TRUE(plan) << plan.error().message;
  Random random(3);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 8192, random);
  ASSERT_TRUE(memory.upload());
  const Result<void> refused = plan->run(
      stream, Workspace::none(),
      {.dest = memory.tensor(Element::F32, {8, 16}, {20, 1}), .source = memory.tensor(Element::F32, {8, 16}, 4096)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::Unsupported);
  EXPECT_TRUE(memory.expect_unchanged());
}

// ---- claims ---------------------------------------------------------------------------------------------------------

/// Neighbouring rows share bytes, and several threads or blocks work on them: no half may be lost, run after run.
TEST_P(WriteSliceTest, SharedNibbleBytesHaveOneWriter) {
  for (int i = 0; i < (options().full ? 200 : 20); ++i) {
    WriteSliceCase value = parse("element=s4 dest=601x903 start=1x1 end=600x902 num_threads=4");
    value.seed = static_cast<std::uint64_t>(i);
    ASSERT_TRUE(passes(value, GetParam()));
    value.source_strides = {1, 600};
    ASSERT_TRUE(passes(value, GetParam()));
  }
}

/// `run` allocates nothing, takes no lock, reads no environment and formats nothing of ours, the first time too,
/// whatever the variant, and with enough bytes for several threads.
TEST_P(WriteSliceTest, RunDoesOnlyWhatItMust) {
  if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions that are counted";
  constexpr std::int64_t kRows = 1024, kCols = 1024, kTensorBytes = 2 * kRows * kCols * 4;
  const Stream stream = GetParam().device.is_cpu() ? Stream::cpu(2) : *make_stream(GetParam().device);
  Random random(5);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 2 * kTensorBytes + 16, random);
  std::memset(memory.image().data() + 2 * kTensorBytes, 0, 16);  // the positions
  ASSERT_TRUE(memory.upload());
  for (bool device_starts : {false, true}) {
    const auto plan = *WriteSlicePlan::select(
        stream, {Element::F32, {kRows, kCols}, {0, 0}, {kRows / 2, kCols}, device_starts}, GetParam().preference);
    for (const Dims& strides : {Dims{kCols, 1}, Dims{kCols + 8, 1}, Dims{1, kRows}}) {
      WriteSliceArgs args{.dest = memory.tensor(Element::F32, {kRows, kCols}, strides),
                          .source = memory.tensor(Element::F32, {kRows / 2, kCols}, kTensorBytes)};
      if (device_starts) args.device_starts = memory.vector(Element::I64, 2, 2 * kTensorBytes);
      CallCounter counter;
      const bool ran = plan.run(stream, Workspace::none(), args).has_value();
      EXPECT_EQ(counter.stop().total(), 0);
      EXPECT_TRUE(ran);
    }
  }
}

/// The lists from which CI compiles and the GPU record is made hold every kernel that some descriptor asks for.
TEST(WriteSliceKernels, TheOpListsWhatPlansCompile) {
  const DeviceInfo h200 = DeviceInfo::sm90a();
  std::set<std::string> listed, asked;
  for (const jit::KernelSpec& kernel : write_slice_op().kernels({}, h200)) listed.insert(kernel.name);
  const auto ask = [&](const WriteSliceDescriptor& descriptor) {
    const auto report = WriteSlicePlan::compile(descriptor, {}, h200);
    ASSERT_TRUE(report) << report.error().message;
    for (const KernelReport& kernel : report->kernels) {
      asked.insert(kernel.name);
      EXPECT_EQ(kernel.target, "sm90a");
      EXPECT_GT(kernel.registers, 0);
      EXPECT_EQ(kernel.spill_bytes, 0);
    }
  };
  if (!jit::nvrtc()) {
    ASSERT_FALSE(options().require_nvrtc);
    GTEST_SKIP() << "no NVRTC";
  }
  Random random(options().seed);
  for (int i = 0; i < 300; ++i) ask(random_write_slice_case(random).descriptor);
  for (const ElementInfo& info : kElements)
    for (bool device_starts : {false, true})
      if (info.layout.block_elems == 1 || is_packed_4bit(info.element))
        ask({info.element, {std::int64_t{1} << 33}, {0}, {std::int64_t{1} << 33}, device_starts});
  EXPECT_EQ(asked, listed);
  EXPECT_TRUE(WriteSlicePlan::compile({Element::F32, {8}, {0}, {8}}, {}, DeviceInfo::cpu())->kernels.empty());
}

TEST_P(WriteSliceCudaTest, ACapturedGraphAppendsAtMovingPositions) {
  const Stream stream = *make_stream(GetParam());
  constexpr std::int64_t kHeads = 3, kTokens = 40, kDim = 24;
  const auto plan =
      *WriteSlicePlan::select(stream, {Element::Bf16, {kHeads, kTokens, kDim}, {0, 0, 0}, {kHeads, 1, kDim}, true});
  Random random(9);
  GuardedBuffer cache = *GuardedBuffer::create("cache", stream, kHeads * kTokens * kDim * 2, random, 2);
  GuardedBuffer token = *GuardedBuffer::create("token", stream, kHeads * kDim * 2, random, 6);
  GuardedBuffer starts = *GuardedBuffer::create("starts", stream, 24, random);
  GuardedBuffer status = *GuardedBuffer::create("status", stream, 4, random);
  ASSERT_TRUE(cache.upload() && status.upload());
  std::vector<std::byte> expected(cache.image().begin(), cache.image().end());
  const WriteSliceArgs args{.dest = cache.tensor(Element::Bf16, {kHeads, kTokens, kDim}),
                            .source = token.tensor(Element::Bf16, {kHeads, 1, kDim}),
                            .device_starts = starts.vector(Element::I64, 3),
                            .status = status.vector(Element::I32, 1)};
  const auto graph = CudaGraph::capture(stream, [&] { return plan.run(stream, Workspace::none(), args); });
  ASSERT_TRUE(graph) << graph.error().message;
  for (std::int64_t position : {0, 1, 2, 17, 39, 40, -1, 38}) {
    const std::int64_t at[3] = {0, position, 0};
    std::memcpy(starts.image().data(), at, sizeof(at));
    random.fill_bytes(token.image());
    ASSERT_TRUE(starts.upload() && token.upload());
    ASSERT_TRUE(graph->replay(stream));
    ASSERT_TRUE(cache.download() && status.download());
    const bool inside = position >= 0 && position < kTokens;
    if (inside)
      for (std::int64_t head = 0; head < kHeads; ++head)
        std::copy_n(token.image().data() + head * kDim * 2, kDim * 2,
                    expected.data() + (head * kTokens + position) * kDim * 2);
    const Result<void> same = compare_bytes("cache", cache.image(), expected);
    ASSERT_TRUE(same) << "position " << position << ": " << same.error().message;
    std::int32_t flag;
    std::memcpy(&flag, status.image().data(), 4);
    EXPECT_EQ(flag, inside ? 0 : 1);
  }
}

TEST_P(WriteSliceCudaTest, EveryVariantIsCaptured) {
  const Stream stream = *make_stream(GetParam());
  for (const char* fields : {"element=f32 dest=8x16 start=0x0 end=8x16", "element=f32 dest=8x16 start=2x1 end=8x16",
                             "element=f32 dest=8x16 start=2x1 end=8x3", "element=s4 dest=7x9 start=1x1 end=6x8"}) {
    const WriteSliceDescriptor descriptor = parse(fields).descriptor;
    const auto plan = *WriteSlicePlan::select(stream, descriptor);
    Random random(4);
    GuardedBuffer dest = *GuardedBuffer::create("dest", stream, 512, random);
    GuardedBuffer source = *GuardedBuffer::create("source", stream, 512, random);
    GuardedBuffer direct = *GuardedBuffer::create("direct", stream, 512, random);
    std::ranges::copy(dest.image(), direct.image().begin());
    ASSERT_TRUE(dest.upload() && source.upload() && direct.upload());
    Dims extents = descriptor.end;
    for (int axis = 0; axis < extents.rank(); ++axis) extents[axis] -= descriptor.start[axis];
    const auto run_into = [&](const GuardedBuffer& to) {
      return plan.run(stream, Workspace::none(),
                      {.dest = to.tensor(descriptor.element, descriptor.dest_shape),
                       .source = source.tensor(descriptor.element, extents)});
    };
    const auto graph = CudaGraph::capture(stream, [&] { return run_into(dest); });
    ASSERT_TRUE(graph) << graph.error().message;
    ASSERT_TRUE(dest.expect_unchanged()) << "a capture runs nothing";
    ASSERT_TRUE(graph->replay(stream));
    ASSERT_TRUE(run_into(direct));
    ASSERT_TRUE(dest.download() && direct.download());
    const Result<void> same = compare_bytes("dest", dest.image(), direct.image());
    EXPECT_TRUE(same) << fields << ": " << same.error().message;
  }
}

/// A window of more elements than 32 bits count, and what each of its rows must become.
struct HugeWindow {
  const char* name;
  const char* variant;
  WriteSliceDescriptor descriptor;  // rank 2
  Dims dest_strides;
};

/// Of the destination every byte of some rows is compared, among them the last ones: an index that is cut to 32 bits
/// goes wrong by gigabytes. The source repeats with a prime number of bytes, so that neighbouring rows differ.
void check_huge_window(const HugeWindow& huge, const Stream& stream) {
  SCOPED_TRACE(huge.name);
  const WriteSliceDescriptor& descriptor = huge.descriptor;
  const bool packed = is_packed_4bit(descriptor.element);
  const std::int64_t rows = descriptor.dest_shape[0], width = descriptor.end[1] - descriptor.start[1];
  const std::int64_t first = descriptor.device_starts ? descriptor.dest_shape[1] - width : descriptor.start[1];
  const std::int64_t pitch = huge.dest_strides[0], step = huge.dest_strides[1];  // bytes, or nibbles
  const auto bytes_of = [&](std::int64_t elements) { return packed ? (elements + 1) / 2 : elements; };
  auto dest = Buffer::allocate(stream, bytes_of(rows * pitch));
  auto source = Buffer::allocate(stream, bytes_of(rows * width));
  auto starts = Buffer::allocate(stream, 16);
  ASSERT_TRUE(dest && source && starts) << "needs up to 8.6 GB of device memory";
  constexpr std::int64_t kTile = 1048573;
  std::vector<std::byte> tile(kTile);
  Random(11).fill_bytes(tile);
  for (std::int64_t at = 0; at < source->bytes(); at += kTile)
    ASSERT_TRUE(source->copy_from_host(stream, tile.data(), std::min(kTile, source->bytes() - at), at));
  const std::int64_t positions[2] = {0, first};
  ASSERT_TRUE(dest->fill(stream, 0x5a) && starts->copy_from_host(stream, positions, sizeof positions));

  const auto plan = WriteSlicePlan::select(stream, descriptor);
  ASSERT_TRUE(plan) << plan.error().message;
  WriteSliceArgs args{.dest = dest->tensor(descriptor.element, descriptor.dest_shape, huge.dest_strides),
                      .source = source->tensor(descriptor.element, {rows, width})};
  if (descriptor.device_starts)
    args.device_starts = VectorRef{{starts->data(), Element::I64, 2, stream.device(), starts->range()}};
  EXPECT_EQ(plan->sku(args)->variant, huge.variant);
  const Result<void> ran = plan->run(stream, Workspace::none(), args);
  ASSERT_TRUE(ran) << ran.error().message;

  // An even number of rows at a time starts at a whole byte.
  constexpr std::int64_t kRowsAtATime = 64, kRowsApart = 2048;
  std::vector<std::byte> actual(bytes_of(kRowsAtATime * pitch)), expected(actual.size());
  for (std::int64_t row = 0; row < rows; row += row + kRowsApart < rows ? kRowsApart : kRowsAtATime) {
    const std::int64_t count = std::min(kRowsAtATime, rows - row);
    const std::int64_t bytes = bytes_of(count * pitch);
    ASSERT_TRUE(dest->copy_to_host(stream, actual.data(), bytes, bytes_of(row * pitch)) && stream.synchronize());
    std::fill(expected.begin(), expected.end(), std::byte{0x5a});
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t j = 0; j < width; ++j) {
        const std::int64_t to = i * pitch + (first + j) * step, from = (row + i) * width + j;
        if (packed) {
          const int value = (std::to_integer<int>(tile[from / 2 % kTile]) >> (4 * (from % 2))) & 15;
          std::byte& byte = expected[to / 2];
          const int old = std::to_integer<int>(byte);
          byte = static_cast<std::byte>(to % 2 ? (old & 15) | value << 4 : (old & 240) | value);
        } else {
          expected[to] = tile[from % kTile];
        }
      }
    ASSERT_EQ(std::memcmp(actual.data(), expected.data(), bytes), 0) << "rows " << row << " to " << row + count;
  }
}

TEST_P(WriteSliceCudaTest, MoreThan2To32Elements) {
  constexpr std::int64_t kRows = 65541, kWidth = 65537, kFirst = 3, kCols = 65601;
  static_assert(kRows * kWidth > std::int64_t{1} << 32);
  check_huge_window({"rows", "rows", {Element::U8, {kRows, kCols}, {0, kFirst}, {kRows, kFirst + kWidth}}, {kCols, 1}},
                    *make_stream(GetParam()));
}

TEST_P(WriteSliceCudaTest, MoreThan2To31ElementsInEveryWideKernel) {
  if (!options().full) GTEST_SKIP() << "8.6 GB of device memory: with --full";
  constexpr std::int64_t kRows = 32771, kWidth = 65537, kFirst = 3, kCols = 65541;
  static_assert(kRows * kWidth > std::int64_t{1} << 31);
  for (bool device_starts : {false, true}) {
    const Dims start = {0, device_starts ? 0 : kFirst}, end = {kRows, start[1] + kWidth}, shape = {kRows, kCols};
    const Stream stream = *make_stream(GetParam());
    check_huge_window({"rows", "rows", {Element::U8, shape, start, end, device_starts}, {kCols, 1}}, stream);
    check_huge_window({"generic", "generic", {Element::U8, shape, start, end, device_starts}, {2 * kCols, 2}}, stream);
    check_huge_window({"nibbles", "nibbles", {Element::S4, shape, start, end, device_starts}, {kCols, 1}}, stream);
  }
}

}  // namespace
}  // namespace baracuda::testing
