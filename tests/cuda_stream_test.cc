// Streams, events and buffers on every device present, the CPU included.

#include "baracuda/core/stream.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "baracuda/core/buffer.h"
#include "baracuda/cuda/stream_access.h"
#include "testing/call_counter.h"
#include "testing/devices.h"

namespace baracuda {
namespace {

using testing::make_stream;
using testing::NameOfParam;
using testing::test_devices;

class Streams : public ::testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    auto made = make_stream(GetParam());
    ASSERT_TRUE(made) << made.error().message;
    stream = *made;
  }

  /// The buffer's bytes, after everything enqueued on `on` is done.
  std::vector<unsigned char> read(const Buffer& buffer, const Stream& on) {
    std::vector<unsigned char> bytes(static_cast<std::size_t>(buffer.bytes()));
    EXPECT_TRUE(buffer.copy_to_host(on, bytes.data(), buffer.bytes()));
    EXPECT_TRUE(on.synchronize());
    return bytes;
  }

  Stream stream = Stream::cpu();
};

TEST_P(Streams, DescribeTheirDevice) {
  EXPECT_EQ(stream.device(), GetParam());
  EXPECT_EQ(stream.device_info(), *DeviceInfo::of(GetParam()));
  EXPECT_EQ(stream.num_threads() > 0, GetParam().is_cpu());
  EXPECT_EQ(stream.cuda_handle() != nullptr, GetParam().is_cuda());
  EXPECT_TRUE(stream.synchronize());
  EXPECT_FALSE(*stream.is_capturing());
}

TEST_P(Streams, InfoOutlivesCopies) {
  const DeviceInfo* info = nullptr;
  {
    const Stream copy = stream;
    info = &copy.device_info();
  }
  EXPECT_EQ(info, &stream.device_info());
}

TEST_P(Streams, BufferIsAlignedAndKeepsItsSize) {
  for (const std::int64_t bytes : {1, 255, 256, 1'000'003}) {
    const auto buffer = Buffer::allocate(stream, bytes);
    ASSERT_TRUE(buffer) << buffer.error().message;
    EXPECT_EQ(buffer->bytes(), bytes);
    EXPECT_EQ(buffer->device(), GetParam());
    EXPECT_NE(buffer->data(), nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->data()) % 256, 0u);
    EXPECT_EQ(buffer->range().bytes(), static_cast<std::uint64_t>(bytes));
  }
}

TEST_P(Streams, EmptyBuffersWork) {
  auto empty = Buffer::allocate(stream, 0);
  ASSERT_TRUE(empty);
  Buffer none;
  EXPECT_EQ(none.device(), Device::cpu());
  EXPECT_EQ(none.bytes(), 0);
  EXPECT_TRUE(empty->fill(stream, 1));
  EXPECT_TRUE(empty->copy_from_host(stream, nullptr, 0));
  EXPECT_TRUE(empty->copy_to_host(stream, nullptr, 0));
}

TEST_P(Streams, ImpossibleAllocationsAreErrors) {
  EXPECT_EQ(Buffer::allocate(stream, -1).error().kind, ErrorKind::InvalidProblem);
  if (GetParam().is_cpu() && !testing::kCanCountCalls)
    GTEST_SKIP() << "a sanitizer ends the process that asks for too much";
  const auto huge = Buffer::allocate(stream, std::int64_t{1} << 60);
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().kind, ErrorKind::Backend);
  EXPECT_NE(huge.error().message.find("out of memory"), std::string::npos) << huge.error().message;
}

TEST_P(Streams, CopiesTouchWhatTheyShould) {
  constexpr std::int64_t kBytes = 1000;
  auto buffer = Buffer::allocate(stream, kBytes);
  ASSERT_TRUE(buffer);
  ASSERT_TRUE(buffer->fill(stream, 0xab));
  const std::vector<unsigned char> sent(17, 0x5c);
  ASSERT_TRUE(buffer->copy_from_host(stream, sent.data(), 17, 501));

  std::vector<unsigned char> expected(kBytes, 0xab);
  std::memcpy(expected.data() + 501, sent.data(), 17);
  EXPECT_EQ(read(*buffer, stream), expected);

  std::vector<unsigned char> part(21, 0);  // two guard bytes on either side
  ASSERT_TRUE(buffer->copy_to_host(stream, part.data() + 2, 17, 501));
  ASSERT_TRUE(stream.synchronize());
  std::vector<unsigned char> expected_part(21, 0);
  std::memcpy(expected_part.data() + 2, sent.data(), 17);
  EXPECT_EQ(part, expected_part);
}

TEST_P(Streams, CopiesOutOfBoundsAreRefusedAndWriteNothing) {
  auto buffer = Buffer::allocate(stream, 64);
  ASSERT_TRUE(buffer);
  ASSERT_TRUE(buffer->fill(stream, 0x11));
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::vector<unsigned char> host(128, 0x22);
  struct Case {
    std::int64_t bytes, offset, needed;
  };
  for (const auto& [bytes, offset, needed] :
       {Case{65, 0, 65}, Case{1, 64, 65}, Case{64, 1, 65}, Case{kMax, 1, kMax}, Case{1, kMax, kMax}}) {
    for (const auto& done : {buffer->copy_from_host(stream, host.data(), bytes, offset),
                             buffer->copy_to_host(stream, host.data(), bytes, offset)}) {
      ASSERT_FALSE(done) << bytes << " at " << offset;
      EXPECT_EQ(done.error().kind, ErrorKind::BufferTooSmall);
      EXPECT_EQ(done.error().needed, needed);
      EXPECT_EQ(done.error().got, 64);
    }
  }
  EXPECT_EQ(buffer->copy_from_host(stream, host.data(), -1).error().kind, ErrorKind::InvalidProblem);
  EXPECT_EQ(buffer->copy_from_host(stream, host.data(), 1, -1).error().kind, ErrorKind::InvalidProblem);
  EXPECT_EQ(buffer->copy_from_host(stream, nullptr, 1).error().kind, ErrorKind::InvalidProblem);
  EXPECT_EQ(read(*buffer, stream), std::vector<unsigned char>(64, 0x11));
  EXPECT_EQ(host, std::vector<unsigned char>(128, 0x22));
}

TEST_P(Streams, BufferOutlivesTheStreamItCameFrom) {
  Buffer buffer;
  {
    const auto own = make_stream(GetParam());
    ASSERT_TRUE(own);
    auto made = Buffer::allocate(*own, 1 << 20);
    ASSERT_TRUE(made);
    buffer = std::move(*made);
    ASSERT_TRUE(buffer.fill(*own, 7));
    ASSERT_TRUE(own->synchronize());
  }
  EXPECT_EQ(read(buffer, stream), std::vector<unsigned char>(1 << 20, 7));
}

TEST_P(Streams, TensorsAreBoundedByTheirBuffer) {
  const auto buffer = Buffer::allocate(stream, 1024);
  ASSERT_TRUE(buffer);
  const TensorMut tensor = buffer->tensor(Element::F32, {4, 8}, 64);
  EXPECT_EQ(tensor.data, static_cast<char*>(buffer->data()) + 64);
  EXPECT_EQ(tensor.strides, (Dims{8, 1}));
  EXPECT_EQ(tensor.device, GetParam());
  EXPECT_EQ(tensor.buffer.begin, buffer->range().begin);
  EXPECT_EQ(tensor.buffer.end, buffer->range().end);
}

TEST_P(Streams, WorkIsDoneInOrder) {
  auto buffer = Buffer::allocate(stream, 1 << 20);
  ASSERT_TRUE(buffer);
  for (int value = 0; value < 100; ++value) ASSERT_TRUE(buffer->fill(stream, static_cast<unsigned char>(value)));
  EXPECT_EQ(read(*buffer, stream), std::vector<unsigned char>(1 << 20, 99));
}

TEST_P(Streams, EventsOrderStreams) {
  const auto second = make_stream(GetParam());
  ASSERT_TRUE(second);
  auto buffer = Buffer::allocate(stream, 64 << 20);
  ASSERT_TRUE(buffer);
  auto event = Event::create(stream);
  ASSERT_TRUE(event);
  for (int round = 0; round < 20; ++round) {
    const auto value = static_cast<unsigned char>(round);
    ASSERT_TRUE(buffer->fill(stream, value));
    ASSERT_TRUE(event->record(stream));
    ASSERT_TRUE(event->wait_on(*second));
    unsigned char last = 0xff;
    ASSERT_TRUE(buffer->copy_to_host(*second, &last, 1, buffer->bytes() - 1));
    ASSERT_TRUE(second->synchronize());
    EXPECT_EQ(last, value);
  }
  EXPECT_TRUE(*event->is_complete());
  EXPECT_TRUE(event->synchronize());
}

TEST_P(Streams, TimedEventsMeasure) {
  auto start = Event::create(stream, true), end = Event::create(stream, true);
  ASSERT_TRUE(start && end);
  EXPECT_EQ(end->elapsed_ms_since(*start).error().kind, ErrorKind::InvalidProblem);  // not recorded
  ASSERT_TRUE(start->record(stream));
  auto buffer = Buffer::allocate(stream, 1 << 20);
  ASSERT_TRUE(buffer);
  ASSERT_TRUE(buffer->fill(stream, 0));
  ASSERT_TRUE(end->record(stream));
  ASSERT_TRUE(end->synchronize());
  const auto elapsed_ms = end->elapsed_ms_since(*start);
  ASSERT_TRUE(elapsed_ms) << elapsed_ms.error().message;
  EXPECT_GE(*elapsed_ms, 0);

  auto untimed = Event::create(stream);
  ASSERT_TRUE(untimed && untimed->record(stream));
  EXPECT_EQ(untimed->elapsed_ms_since(*start).error().kind, ErrorKind::InvalidProblem);
}

TEST_P(Streams, DevicesDoNotMix) {
  if (GetParam().is_cpu()) return;
  const Stream cpu = Stream::cpu();
  auto buffer = Buffer::allocate(stream, 4);
  auto event = Event::create(stream);
  ASSERT_TRUE(buffer && event);
  int host = 0;
  EXPECT_EQ(buffer->copy_from_host(cpu, &host, 4).error().kind, ErrorKind::InvalidProblem);
  EXPECT_EQ(buffer->copy_to_host(cpu, &host, 4).error().kind, ErrorKind::InvalidProblem);
  EXPECT_EQ(buffer->fill(cpu, 0).error().kind, ErrorKind::InvalidProblem);
  EXPECT_EQ(event->record(cpu).error().kind, ErrorKind::InvalidProblem);
  ASSERT_TRUE(event->record(stream));
  EXPECT_EQ(event->wait_on(cpu).error().kind, ErrorKind::InvalidProblem);
  auto on_cpu = Event::create(cpu);
  ASSERT_TRUE(on_cpu && on_cpu->record(cpu));
  EXPECT_TRUE(on_cpu->wait_on(stream));
  EXPECT_EQ(on_cpu->record(stream).error().kind, ErrorKind::InvalidProblem);
}

INSTANTIATE_TEST_SUITE_P(Devices, Streams, ::testing::ValuesIn(test_devices()), NameOfParam());

TEST(CpuStream, HasTheThreadsAskedFor) {
  EXPECT_EQ(Stream::cpu(3).num_threads(), 3);
  EXPECT_EQ(Stream::cpu().num_threads(), DeviceInfo::cpu().num_multiprocessors);
  EXPECT_EQ(Stream::cpu(-1).num_threads(), Stream::cpu(0).num_threads());
}

/// What only CUDA has: raw handles and current contexts.
class CudaStreams : public Streams {
 protected:
  int ordinal() const { return GetParam().ordinal; }
  const cuda::DriverApi& api() const { return **cuda::driver(); }
  cuda::CUcontext current() const {
    cuda::CUcontext context = nullptr;
    api().cuCtxGetCurrent(&context);
    return context;
  }
  /// Everything that a stream can do, on `adopted`.
  void use(const Stream& adopted) {
    auto buffer = Buffer::allocate(adopted, 4096);
    ASSERT_TRUE(buffer) << buffer.error().message;
    ASSERT_TRUE(buffer->fill(adopted, 3));
    EXPECT_EQ(read(*buffer, adopted), std::vector<unsigned char>(4096, 3));
    auto event = Event::create(adopted);
    ASSERT_TRUE(event && event->record(adopted) && event->wait_on(adopted) && event->synchronize());
    EXPECT_FALSE(*adopted.is_capturing());
  }
};

std::vector<Device> devices_with_cuda() {
  std::vector<Device> cuda;
  for (const Device device : test_devices())
    if (device.is_cuda()) cuda.push_back(device);
  return cuda;
}

TEST_P(CudaStreams, AdoptedHandlesWork) {
  const auto adopted = Stream::adopt_cuda(stream.cuda_handle(), ordinal());
  ASSERT_TRUE(adopted) << adopted.error().message;
  EXPECT_EQ(adopted->cuda_handle(), stream.cuda_handle());
  use(*adopted);
}

TEST_P(CudaStreams, SpecialHandlesWork) {
  // Null and the runtime's cudaStreamLegacy and cudaStreamPerThread.
  for (const std::uintptr_t handle : {0, 1, 2}) {
    const auto adopted = Stream::adopt_cuda(reinterpret_cast<void*>(handle), ordinal());
    ASSERT_TRUE(adopted) << adopted.error().message;
    use(*adopted);
  }
}

TEST_P(CudaStreams, AdoptedStreamIsNotDestroyed) {
  { ASSERT_TRUE(Stream::adopt_cuda(stream.cuda_handle(), ordinal())); }
  use(stream);
}

TEST_P(CudaStreams, HandleOfAnotherDeviceIsRefused) {
  for (const Device other : devices_with_cuda()) {
    if (other == GetParam()) continue;
    const auto adopted = Stream::adopt_cuda(stream.cuda_handle(), other.ordinal);
    ASSERT_FALSE(adopted);
    EXPECT_EQ(adopted.error().kind, ErrorKind::InvalidProblem);
  }
}

TEST_P(CudaStreams, CurrentContextStaysAsItWas) {
  const cuda::CUcontext primary = StreamAccess::device(stream).context;
  for (const cuda::CUcontext context : {static_cast<cuda::CUcontext>(nullptr), primary}) {
    std::thread([&] {
      ASSERT_EQ(api().cuCtxSetCurrent(context), cuda::CUDA_SUCCESS);
      {
        const auto own = Stream::cuda(ordinal());
        ASSERT_TRUE(own);
        use(*own);
        const auto legacy = Stream::adopt_cuda(nullptr, ordinal());
        ASSERT_TRUE(legacy);
        use(*legacy);
      }
      EXPECT_EQ(current(), context);
    }).join();
  }
}

TEST_P(CudaStreams, KnowThatTheyAreCaptured) {
  ASSERT_EQ(api().cuStreamBeginCapture_v2(StreamAccess::handle(stream), cuda::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
            cuda::CUDA_SUCCESS);
  EXPECT_TRUE(*stream.is_capturing());
  cuda::CUgraph graph = nullptr;
  ASSERT_EQ(api().cuStreamEndCapture(StreamAccess::handle(stream), &graph), cuda::CUDA_SUCCESS);
  api().cuGraphDestroy(graph);
  EXPECT_FALSE(*stream.is_capturing());
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CudaStreams);
INSTANTIATE_TEST_SUITE_P(Devices, CudaStreams, ::testing::ValuesIn(devices_with_cuda()), NameOfParam());

}  // namespace
}  // namespace baracuda
