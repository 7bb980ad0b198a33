// A host that runs out of memory, at each of a call's allocations in turn: the answer is right or an error, nothing
// throws or hangs, and the next call works.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <memory>
#include <new>
#include <optional>

#include "baracuda/baracuda.h"
#include "baracuda/capi/baracuda_c.h"
#include "baracuda/checkpoint/files_test.h"
#include "baracuda/jit/files.h"
#include "baracuda/jit/kernel_pack.h"
#include "testing/call_counter.h"
#include "testing/options.h"
#include "tests/doubles/fake_machine.h"

namespace baracuda {
namespace {

using testing::CallCounter;
using testing::kCanCountCalls;

constexpr int kAll = std::numeric_limits<int>::max();

template <class T>
Result<void> drop_value(const Result<T>& result) {
  return result ? Result<void>() : Result<void>(result.error());
}

bool says_out_of_memory(const Error& error) {
  return error.code == ENOMEM && error.message.find("memory") != std::string::npos;
}

enum Outcome : int { kNothingFailed = 0, kSomethingFailed = 1, kFirst = 10 };
constexpr const char* kProblems[] = {"an error without a failure", "an error that does not say what was wrong",
                                     "an error afterwards, with memory"};

/// In a process of its own, which starts as this one stands: caches and loaded libraries included.
template <class Body>
int with_failing_allocation(Body&& body, int succeed, int fail) {
  const pid_t copy = fork();
  if (copy == 0) {
    alarm(60);  // what waits for ever is ended
    std::optional<CallCounter> counter(std::in_place);
    counter->fail_allocations(succeed, fail);
    Result<void> result;
    try {
      result = body();
    } catch (const std::bad_alloc&) {
      // By the body's own copies: what the library lets out of a noexcept function ends the process.
    }
    const bool failed = counter->has_failed();
    counter.reset();
    if (!result && !failed) _exit(kFirst);
    if (!result && !says_out_of_memory(result.error())) {
      std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
      _exit(kFirst + 1);
    }
    if (const Result<void> again = body(); !again) {
      std::fprintf(stderr, "%s\n", again.error().to_string().c_str());
      _exit(kFirst + 2);
    }
    _exit(failed ? kSomethingFailed : kNothingFailed);
  }
  int status = 0;
  waitpid(copy, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Each allocation of the body fails in turn, alone, and then with all that follow.
template <class Body>
void check_every_allocation(const char* what, Body&& body) {
  for (const int fail : {1, kAll}) {
    int allocations = 0;
    for (int outcome = kSomethingFailed; outcome == kSomethingFailed; ++allocations) {
      outcome = with_failing_allocation(body, allocations, fail);
      ASSERT_TRUE(outcome == kSomethingFailed || outcome == kNothingFailed)
          << what << ", allocation " << allocations << (fail == 1 ? " alone" : " and all after it") << ": "
          << (outcome >= kFirst ? kProblems[outcome - kFirst] : "ended by a signal") << " (" << outcome << ")";
    }
    EXPECT_GT(allocations, 1) << what << " allocates nothing, so this proves nothing";
  }
}

WriteSliceDescriptor window() { return {Element::F32, {8, 64}, {1, 3}, {8, 64}}; }
KvCacheAppendDescriptor append() {
  return {.num_tokens = 2, .num_kv_heads = 1, .k_head_dim = 8, .v_head_dim = 8, .num_sequences = 2, .max_seq_len = 4};
}

template <class P>
Result<void> plan_everything(const Stream& stream, const typename P::Descriptor& descriptor) {
  for (const Result<void>& done :
       {drop_value(P::choose(descriptor, {}, stream.device_info())), drop_value(P::explain(stream, descriptor)),
        drop_value(P::compile(descriptor, {}, stream.device_info()))})
    if (!done) return done;
  PlanCache<P> cache;
  const Result<P> plan = cache.get(stream, descriptor);
  if (!plan) return plan.error();
  // A refusal is formatted.
  for (const Result<void>& refused :
       {plan->can_implement({}), plan->run(stream, Workspace::none(), {}), drop_value(plan->sku(typename P::Args{}))}) {
    if (refused) return Error::invalid_problem("args of nothing were accepted");
    if (refused.error().kind != ErrorKind::InvalidProblem && refused.error().kind != ErrorKind::Unsupported)
      return refused;
  }
  return {};
}

/// Plans of every op, on the stream.
Result<void> plan_all(const Stream& stream) {
  if (auto done = plan_everything<WriteSlicePlan>(stream, window()); !done) return done;
  // On a GPU their kernels, which take NVRTC longer, would be compiled hundreds of times, as the others are.
  if (stream.device().is_cpu()) {
    if (auto done = plan_everything<DynamicRangeQuantizePlan>(stream, {.shape = {4, 32}}); !done) return done;
    if (auto done = plan_everything<QuantizedLinearPlan>(stream, {.m = 4, .c_out = 8, .k = 32}); !done) return done;
  }
  if (auto done = plan_everything<QuantizePlan>(stream, {.shape = {8, 64}}); !done) return done;
  if (auto done = plan_everything<DequantizePlan>(stream, {.shape = {8, 64}}); !done) return done;
  if (auto done = plan_everything<FakeQuantizePlan>(stream, {.shape = {8, 64}}); !done) return done;
  if (auto done = plan_everything<FakeQuantizeBackwardPlan>(stream, {.shape = {8, 64}}); !done) return done;
  return plan_everything<KvCacheAppendPlan>(stream, append());
}

Result<void> result_of(baracuda_status status) {
  if (status == BARACUDA_OK) return {};
  return Error{static_cast<ErrorKind>(status), baracuda_last_error_message(), 0, 0, baracuda_last_error_code()};
}

/// A call through C, and one that is refused.
Result<void> call_from_c() {
  using Stream = std::unique_ptr<baracuda_stream, decltype(&baracuda_stream_destroy)>;
  using Plan = std::unique_ptr<baracuda_plan, decltype(&baracuda_plan_destroy)>;
  using Call = std::unique_ptr<baracuda_call, decltype(&baracuda_call_destroy)>;
  baracuda_stream* new_stream;
  if (auto done = result_of(baracuda_stream_cpu(1, &new_stream)); !done) return done;
  const Stream stream(new_stream, baracuda_stream_destroy);
  baracuda_elementwise_descriptor descriptor;
  if (auto done = result_of(baracuda_elementwise_descriptor_init(&descriptor, sizeof descriptor)); !done) return done;
  descriptor.op = "neg";
  descriptor.shape = {1, {4}};
  baracuda_plan* new_plan;
  if (auto done = result_of(baracuda_elementwise_select(stream.get(), &descriptor, nullptr, &new_plan)); !done)
    return done;
  const Plan plan(new_plan, baracuda_plan_destroy);
  float data[4] = {};
  std::int64_t shape[] = {4};
  const DLTensor tensor = {data, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, shape, nullptr, 0};
  baracuda_elementwise_args args{};
  args.struct_size = sizeof args;
  args.output = args.x = &tensor;
  baracuda_call* new_call;
  if (auto done = result_of(baracuda_elementwise_bind(plan.get(), &args, &new_call)); !done) return done;
  const Call call(new_call, baracuda_call_destroy);
  const char* text;
  for (const Result<void>& done :
       {result_of(baracuda_call_sku(call.get(), &text)), result_of(baracuda_plan_explain(plan.get(), &text)),
        result_of(baracuda_call_run(call.get(), stream.get(), nullptr, 0))})
    if (!done) return done;
  descriptor.element = 1000;
  auto refused = result_of(baracuda_elementwise_select(stream.get(), &descriptor, nullptr, &new_plan));
  return refused.error().kind == ErrorKind::InvalidProblem ? Result<void>() : refused;
}

Result<void> use_buffer(const Stream& stream) {
  char host[16] = {};
  auto buffer = Buffer::allocate(stream, 16);
  if (!buffer) return buffer.error();
  for (const Result<void>& done : {buffer->fill(stream, 1), buffer->copy_from_host(stream, host, 16),
                                   buffer->copy_to_host(stream, host, 16), stream.synchronize()})
    if (!done) return done;
  auto start = Event::create(stream, true), end = Event::create(stream, true);
  if (!start) return start.error();
  if (!end) return end.error();
  for (const Result<void>& done : {start->record(stream), end->record(stream), end->wait_on(stream), end->synchronize(),
                                   drop_value(end->elapsed_ms_since(*start))})
    if (!done) return done;
  return {};
}

/// A shard, its index and its config, and a view that is refused.
Result<void> read_checkpoint(const std::string& folder) {
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder);
  if (!checkpoint) return checkpoint.error();
  const Result<TensorRef> refused = checkpoint->find("a tensor without an element")->view();
  if (refused.error().kind != ErrorKind::Unsupported) return refused.error();
  return drop_value(read_quantization_config(folder));
}

class HostMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has the functions that would have to fail";
  }
};

FAKE_CUDA_TEST_F(HostMemory, RunsOutOnTheCpu) {
  check_every_allocation("plans", [] { return plan_all(Stream::cpu()); });
  check_every_allocation("buffers", [] { return use_buffer(Stream::cpu()); });
  check_every_allocation("a call from C", call_from_c);
  check_every_allocation("a sku", [] {
    return drop_value(parse_sku("a_name_that_a_string_allocates/f32/-/-/another_of_those_names/sm90a/bespoke"));
  });
  check_every_allocation("devices", [] {
    return drop_value(Device::parse("a device whose name is long")).or_else([](const Error& error) {
      return error.kind == ErrorKind::InvalidProblem ? Result<void>() : Result<void>(error);
    });
  });
}

FAKE_CUDA_TEST_F(HostMemory, RunsOutWhileACheckpointIsRead) {
  const testing::TemporaryFolder folder;
  folder.write("a shard of the model", testing::safetensors(R"({"__metadata__":{"the format's version":"not said"},)"
                                                            R"("a tensor without an element":{"dtype":"F4",)"
                                                            R"("shape":[1,4],"data_offsets":[0,2]}})",
                                                            "ab"));
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"a tensor without an element":"a shard of the model"}})");
  folder.write("config.json", R"({"quantization_config":{"quant_method":"gptq","bits":4,"group_size":128}})");
  check_every_allocation("a checkpoint", [&] { return read_checkpoint(folder.path()); });
}

/// From a process that has asked for nothing yet: driver, compiler and contexts are found on the way.
FAKE_CUDA_TEST_F(HostMemory, RunsOutWhileCudaStarts) {
  check_every_allocation("the first stream", [] { return drop_value(Stream::cuda()); });
  check_every_allocation("the first plan for a GPU",
                         [] { return drop_value(WriteSlicePlan::compile(window(), {}, DeviceInfo::sm90a())); });
}

FAKE_CUDA_TEST_F(HostMemory, RunsOutOnAGpu) {
  const Stream stream = *Stream::cuda();
  ASSERT_TRUE(WriteSlicePlan::select(stream, {Element::U8, {8, 64}, {1, 3}, {8, 64}}));  // the compiler is open
  check_every_allocation("plans", [&] { return plan_all(stream); });
  check_every_allocation("buffers", [&] { return use_buffer(stream); });
  check_every_allocation("streams", [&] { return drop_value(Stream::adopt_cuda(stream.cuda_handle())); });
}

/// With a folder for kernels, which holds what a process left there that ran out of memory.
FAKE_CUDA_TEST_F(HostMemory, RunsOutWithACacheOnDisk) {
  std::string folder = ::testing::TempDir() + "baracuda-host-memory-XXXXXX";
  ASSERT_TRUE(mkdtemp(folder.data()));
  setenv("BARACUDA_CACHE_DIR", folder.c_str(), 1);
  setenv("BARACUDA_CACHE_MAX_BYTES", "1000000", 1);
  const Stream stream = *Stream::cuda();
  check_every_allocation("a plan", [&] { return drop_value(WriteSlicePlan::select(stream, window())); });
  check_every_allocation("the folder", [&] { return drop_value(disk_cache_info()); });
  EXPECT_TRUE(clear_disk_cache());
  EXPECT_EQ(rmdir(folder.c_str()), -1) << "the lock's file stays";
  EXPECT_EQ(unlink((folder + "/.baracuda-lock").c_str()), 0);
  EXPECT_EQ(rmdir(folder.c_str()), 0);
}

/// A pack of one kernel; made without the environment, which tests set afterwards.
std::string write_pack() {
  constexpr jit::NvrtcVersion kCompiler = {13, 0};
  const jit::KernelSpec spec{.name = "op.kernel", .text = "a kernel", .target = native_target(Arch::Sm90a)};
  jit::KernelPack pack{.nvrtc_version = kCompiler, .kernels = {}};
  const jit::KernelKey key = *jit::kernel_key(spec, kCompiler);
  pack.kernels.emplace(
      key, std::make_shared<const jit::KernelEntry>(jit::KernelEntry{*jit::kernel_manifest(spec, key, kCompiler), {}}));
  const std::string name = "baracuda-host-memory-" + std::to_string(getpid()) + ".pack";
  EXPECT_TRUE(jit::write_and_rename(::testing::TempDir(), name, *jit::encode_pack(pack)));
  return ::testing::TempDir() + name;
}

FAKE_CUDA_TEST_F(HostMemory, RunsOutWhileAPackIsLoaded) {
  const std::string path = write_pack();
  check_every_allocation("a pack", [&] { return drop_value(load_kernel_pack(path)); });
  setenv("BARACUDA_KERNEL_PACK", path.c_str(), 1);
  check_every_allocation("the packs of the environment", [] { return drop_value(loaded_kernel_packs()); });
  unlink(path.c_str());
}

}  // namespace
}  // namespace baracuda
