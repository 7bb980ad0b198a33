#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "baracuda/core/propagate.h"
#include "baracuda/cuda/stream_access.h"
#include "baracuda/jit/jit.h"
#include "baracuda/jit/kernel_cache.h"
#include "bench/ceiling_kernels.h"
#include "bench/device_bench.h"
#include "bench/matrix_check.h"
#include "testing/case_text.h"
#include "testing/child_process.h"
#include "testing/cuda_graph.h"
#include "testing/random.h"

namespace baracuda::bench {
namespace {

using KernelPtr = std::shared_ptr<const cuda::Kernel>;

Result<KernelPtr> load(const jit::KernelSpec& spec, const Stream& stream) {
  BARACUDA_ASSIGN_OR_RETURN(const jit::CompiledKernel compiled, compile_ceiling_kernel(spec));
  return cuda::Kernel::load(stream, compiled.cubin, jit::kKernelEntry);
}

Error wrong(std::string_view ceiling, const std::string& what) {
  return Error::backend(
      0, fmt::format("the kernel of the ceiling \"{}\" does not do what it is to measure: {}", ceiling, what));
}

// ---- a select in a process of its own -------------------------------------------------------------------------------

/// Arguments: case, device, the file for the seconds. What a process does once, whatever it selects, comes before: the
/// driver's context, NVRTC, whose version is part of every key, and a first kernel.
int select_in_child(const testing::ChildArguments& arguments) {
  const auto timed = [&]() -> Result<double> {
    BARACUDA_ASSIGN_OR_RETURN(const Device device, Device::parse(arguments[1]));
    BARACUDA_ASSIGN_OR_RETURN(const Stream stream, Stream::cuda(device.ordinal));
    BARACUDA_RETURN_IF_ERROR(load(empty_kernel(code_target(stream.device_info(), stream.device_info().arch)), stream));
    jit::KernelCache::process();
    BARACUDA_ASSIGN_OR_RETURN(const testing::Op* op, testing::find_op(testing::case_op(arguments[0])));
    return host_seconds([&] { return op->select(arguments[0], stream); });
  };
  const Result<double> seconds = timed();
  if (!seconds) {
    fmt::print(stderr, "baracuda: error: {}\n", seconds.error().message);
    return 1;
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(arguments[2].c_str(), "w"), &std::fclose);
  if (!file) return 1;
  fmt::print(file.get(), "{:.9f}", *seconds);
  return 0;
}

constexpr const char* kSelectChild = "select";
const testing::RegisterChild kRegisterSelect(kSelectChild, select_in_child);

/// A file that is there while the object lives.
class TemporaryFile {
 public:
  TemporaryFile() {
    if (const int descriptor = mkstemp(path_); descriptor >= 0) close(descriptor);
  }
  ~TemporaryFile() { unlink(path_); }
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/baracuda-bench-XXXXXX";
};

Result<double> select_from_disk(const std::string& case_text, Device device) {
  const TemporaryFile file;
  testing::Child child(kSelectChild, {case_text, device.name(), file.path()});
  double seconds = 0;
  if (const int status = child.wait(std::chrono::seconds(60)); status != 0)
    return Error::backend(status,
                          fmt::format("the process that selects \"{}\" ended with status {}", case_text, status));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> answer(std::fopen(file.path(), "r"), &std::fclose);
  if (!answer || std::fscanf(answer.get(), "%lf", &seconds) != 1)
    return Error::backend(0, fmt::format("the process that selects \"{}\" left no answer", case_text));
  return seconds;
}

// ---- the device -----------------------------------------------------------------------------------------------------

class CudaBench final : public DeviceBench {
 public:
  static Result<std::unique_ptr<DeviceBench>> create(int ordinal) {
    BARACUDA_ASSIGN_OR_RETURN(Stream stream, Stream::cuda(ordinal));
    BARACUDA_ASSIGN_OR_RETURN(Event begin, Event::create(stream, /*timing=*/true));
    BARACUDA_ASSIGN_OR_RETURN(Event end, Event::create(stream, /*timing=*/true));
    std::unique_ptr<CudaBench> bench(new CudaBench(std::move(stream), std::move(begin), std::move(end)));
    BARACUDA_RETURN_IF_ERROR(bench->make_buffers());
    BARACUDA_RETURN_IF_ERROR(bench->make_memory_ceilings());
    BARACUDA_RETURN_IF_ERROR(bench->make_ring_ceilings());
    BARACUDA_RETURN_IF_ERROR(bench->make_matrix_ceilings());
    return std::unique_ptr<DeviceBench>(std::move(bench));
  }

  const DeviceInfo& info() const override { return stream_.device_info(); }
  std::string description() const override {
    return fmt::format("{}, {} multiprocessors, L2 {:.0f} MiB, driver {}", info().name, info().num_multiprocessors,
                       static_cast<double>(info().l2_bytes) / (1 << 20),
                       clocks_ ? clocks_->driver_version() : "of unknown version");
  }
  Result<GpuClocks::Reading> read_clocks() const override {
    if (!clocks_) return clocks_.error();
    return clocks_->read();
  }
  std::vector<Ceiling>& ceilings() override { return ceilings_; }
  std::int64_t cache_bytes() const override { return info().l2_bytes; }

  Result<Timed> time_case(testing::PreparedCase& prepared) override {
    BARACUDA_RETURN_IF_ERROR(add_cold_sets(prepared, info().l2_bytes));
    const int sets = prepared.num_sets();
    BARACUDA_RETURN_IF_ERROR(prepared.stream().synchronize());
    return time_graph(prepared.stream(), sets, /*is_cold=*/true, [&prepared, sets]() -> Result<void> {
      for (int set = 0; set < sets; ++set) BARACUDA_RETURN_IF_ERROR(prepared.run(set));
      return {};
    });
  }

  Result<Timed> time_copy(std::int64_t bytes) override {
    const std::int64_t half = bytes / 2;
    const int num_pairs = num_cold_buffers(bytes, info().l2_bytes);
    auto buffers = std::make_shared<std::vector<Buffer>>();
    for (int i = 0; i < 2 * num_pairs; ++i) {
      BARACUDA_ASSIGN_OR_RETURN(Buffer buffer, random_buffer(stream_, half));
      buffers->push_back(std::move(buffer));
    }
    const auto copy_all = [&]() -> Result<void> {
      for (int i = 0; i < 2 * num_pairs; i += 2)
        BARACUDA_RETURN_IF_ERROR(cuda::copy_device_to_device(stream_, (*buffers)[i].data(), (*buffers)[i + 1].data(),
                                                             static_cast<std::size_t>(half)));
      return {};
    };
    BARACUDA_ASSIGN_OR_RETURN(Timed timed, time_graph(stream_, num_pairs, /*is_cold=*/true, copy_all));
    // The graph has their addresses.
    timed.sample = [sample = std::move(timed.sample), buffers] { return sample(); };
    return timed;
  }

  Result<HostCosts> time_host(const std::string& case_text, const testing::PreparedCase& prepared,
                              double run_seconds) override {
    // What the device's queue holds and works off soon.
    constexpr double kDeviceSeconds = 2e-3;
    const int calls = static_cast<int>(std::clamp(kDeviceSeconds / run_seconds, 4.0, 200.0));
    const auto finish = [&] { return prepared.stream().synchronize(); };
    const bool is_copy = prepared.sku().backend == Backend::Driver;
    Timed bare = time_calls(
        calls, [&] { return is_copy ? bare_copy() : bare_launch(); }, [&] { return stream_.synchronize(); });
    Timed run = time_calls(
        calls, [&] { return prepared.run(0); }, finish);
    Timed check = time_calls(
        calls, [&] { return prepared.can_implement(); }, finish);
    Timed select = time_calls(
        calls, [&] { return prepared.select(); }, finish);
    Timed* const all[] = {&bare, &run, &check, &select};
    BARACUDA_RETURN_IF_ERROR(interleave(all, kHostRounds, [](double) {}));
    HostCosts costs;
    costs.launch = bare.seconds();
    costs.run = run.seconds();
    costs.can_implement = check.seconds();
    costs.select = select.seconds();

    // A process that finds nothing there would compile, and that is another time.
    if (const auto disk = disk_cache_info(); !disk || disk->kernels.empty()) {
      costs.no_select_from_disk = "no kernels are kept on disk, see `baracuda cache info`";
      return costs;
    }
    constexpr int kProcesses = 3;
    std::vector<double> seconds;
    for (int i = 0; i < kProcesses; ++i) {
      const Result<double> once = select_from_disk(case_text, info().device);
      if (!once) {
        costs.no_select_from_disk = once.error().message;
        return costs;
      }
      seconds.push_back(*once);
    }
    costs.select_from_disk = spread_of(std::move(seconds));
    return costs;
  }

 private:
  CudaBench(Stream stream, Event begin, Event end)
      : stream_(std::move(stream)),
        begin_(std::move(begin)),
        end_(std::move(end)),
        clocks_(GpuClocks::open(stream_.device().ordinal)) {}

  // ---- timing ----

  /// Seconds per run of what `body` enqueues on `captured`: `runs` of them, as one graph.
  Result<Timed> time_graph(const Stream& captured, int runs, bool is_cold, const std::function<Result<void>()>& body) {
    BARACUDA_ASSIGN_OR_RETURN(testing::CudaGraph graph, testing::CudaGraph::capture(captured, body));
    auto shared = std::make_shared<testing::CudaGraph>(std::move(graph));
    return Timed{[this, shared, runs, is_cold]() -> Result<Sample> {
      // The replay is enqueued while the flush runs, so its own latency is not in the time.
      if (is_cold) BARACUDA_RETURN_IF_ERROR(enqueue_read(flush_, flush_.bytes()));
      BARACUDA_RETURN_IF_ERROR(begin_.record(stream_));
      BARACUDA_RETURN_IF_ERROR(shared->replay(stream_));
      BARACUDA_RETURN_IF_ERROR(end_.record(stream_));
      Sample sample;
      if (clocks_) sample.sm_clock_mhz = clocks_->sm_mhz().value_or(0);  // 0: not known
      BARACUDA_RETURN_IF_ERROR(end_.synchronize());
      BARACUDA_ASSIGN_OR_RETURN(const double milliseconds, end_.elapsed_ms_since(begin_));
      sample.seconds = milliseconds * 1e-3 / runs;
      return sample;
    }};
  }

  /// Seconds of one call of `enqueue`, once.
  Result<double> time_once(const std::function<Result<void>()>& enqueue) {
    BARACUDA_RETURN_IF_ERROR(begin_.record(stream_));
    BARACUDA_RETURN_IF_ERROR(enqueue());
    BARACUDA_RETURN_IF_ERROR(end_.record(stream_));
    BARACUDA_RETURN_IF_ERROR(end_.synchronize());
    BARACUDA_ASSIGN_OR_RETURN(const double milliseconds, end_.elapsed_ms_since(begin_));
    return milliseconds * 1e-3;
  }

  Result<void> bare_launch() {
    EmptyParams params{};
    void* arguments[] = {&params};
    return cuda::call(empty_->device(), "cuLaunchKernel", [&](const cuda::DriverApi& api) {
      return api.cuLaunchKernel(empty_->function(), 1, 1, 1, 32, 1, 1, 0, StreamAccess::handle(stream_), arguments,
                                nullptr);
    });
  }
  Result<void> bare_copy() {
    constexpr std::size_t kBytes = 256;
    return cuda::copy_device_to_device(stream_, dest_.data(), source_.data(), kBytes);
  }

  // ---- memory ----

  Result<void> make_buffers() {
    const std::int64_t bytes =
        std::clamp<std::int64_t>(info().memory_bytes / 32 / kRandomTileBytes, 4, 32) * kRandomTileBytes;
    BARACUDA_ASSIGN_OR_RETURN(source_, random_buffer(stream_, bytes));
    // A copy of 1 GiB in a graph reached 2.76 TB/s on an H200, one of 384 MiB 4.25.
    BARACUDA_ASSIGN_OR_RETURN(dest_, Buffer::allocate(stream_, std::min(bytes / 2, 6 * kRandomTileBytes)));
    BARACUDA_ASSIGN_OR_RETURN(flush_, random_buffer(stream_, 2 * info().l2_bytes));
    BARACUDA_ASSIGN_OR_RETURN(sum_, Buffer::allocate(stream_, sizeof(std::uint32_t)));
    BARACUDA_ASSIGN_OR_RETURN(read_, load(read_kernel(target()), stream_));
    BARACUDA_ASSIGN_OR_RETURN(empty_, load(empty_kernel(target()), stream_));
    return {};
  }

  CodeTarget target() const { return code_target(info(), info().arch); }

  ReadParams read_params(const Buffer& buffer, std::int64_t bytes, std::int64_t offset = 0) const {
    return {static_cast<const char*>(buffer.data()) + offset, bytes, static_cast<unsigned*>(sum_.data())};
  }
  Result<void> enqueue_read(const Buffer& buffer, std::int64_t bytes) const {
    const ReadParams params = read_params(buffer, bytes);
    const auto blocks =
        static_cast<std::uint32_t>(info().num_multiprocessors * ReadParams::blocks_per_multiprocessor());
    return cuda::launch(*read_, stream_, {.grid = {blocks}, .block = {ReadParams::num_threads()}}, &params);
  }

  /// Runs `enqueue`, which adds words to sum_, and compares.
  Result<void> check_sum(const std::string& ceiling, std::uint32_t expected,
                         const std::function<Result<void>()>& enqueue) {
    BARACUDA_RETURN_IF_ERROR(sum_.fill(stream_, 0));
    BARACUDA_RETURN_IF_ERROR(enqueue());
    std::uint32_t sum = 0;
    BARACUDA_RETURN_IF_ERROR(sum_.copy_to_host(stream_, &sum, sizeof(sum)));
    BARACUDA_RETURN_IF_ERROR(stream_.synchronize());
    if (sum != expected) return wrong(ceiling, fmt::format("its words add up to {}, expected {}", sum, expected));
    return {};
  }

  Result<void> make_memory_ceilings() {
    const std::int64_t bytes = source_.bytes(), copied = dest_.bytes();
    const auto mib = [](std::int64_t n) { return n >> 20; };
    constexpr int kRepeats = 4;
    const auto repeated = [](const auto& enqueue) {
      return [&enqueue]() -> Result<void> {
        for (int i = 0; i < kRepeats; ++i) BARACUDA_RETURN_IF_ERROR(enqueue());
        return {};
      };
    };
    const auto read = [&] { return enqueue_read(source_, bytes); };
    BARACUDA_RETURN_IF_ERROR(check_sum("read", random_word_sum(bytes), read));
    BARACUDA_ASSIGN_OR_RETURN(Timed timed_read, time_graph(stream_, kRepeats, /*is_cold=*/false, repeated(read)));
    ceilings_.push_back({.name = "read",
                         .how = fmt::format("plain loads of {} MiB", mib(bytes)),
                         .bounds = Ceiling::Bounds::Read,
                         .amount = static_cast<double>(bytes),
                         .timed = std::move(timed_read)});

    const auto copy = [&] {
      return cuda::copy_device_to_device(stream_, dest_.data(), source_.data(), static_cast<std::size_t>(copied));
    };
    BARACUDA_RETURN_IF_ERROR(dest_.fill(stream_, 0));
    BARACUDA_RETURN_IF_ERROR(copy());
    BARACUDA_RETURN_IF_ERROR(check_sum("copy", random_word_sum(copied), [&] { return enqueue_read(dest_, copied); }));
    BARACUDA_ASSIGN_OR_RETURN(Timed timed_copy, time_graph(stream_, kRepeats, /*is_cold=*/false, repeated(copy)));
    ceilings_.push_back({.name = "copy",
                         .how = fmt::format("the driver's copy of {} MiB, bytes read plus written", mib(copied)),
                         .bounds = Ceiling::Bounds::Copy,
                         .amount = 2 * static_cast<double>(copied),
                         .timed = std::move(timed_copy)});
    return {};
  }

  Result<void> make_ring_ceilings() {
    constexpr RingConfig kConfig;
    const bool has_ring = info().target.sm >= 90;
    KernelPtr ring;
    if (has_ring) {
      BARACUDA_ASSIGN_OR_RETURN(ring, load(bulk_copy_ring_kernel(kConfig, target()), stream_));
      kernels_.push_back(ring);
    }
    for (const std::int64_t bytes : {std::int64_t{8} << 20, std::int64_t{32} << 20, std::int64_t{128} << 20}) {
      Ceiling ceiling{.name = fmt::format("ring {} MiB", bytes >> 20),
                      .how = fmt::format("cp.async.bulk through {} stages of {} KiB, launches overlap", kConfig.stages,
                                         kConfig.stage_bytes >> 10),
                      .amount = static_cast<double>(bytes)};
      if (!has_ring) {
        ceiling.absent = "cp.async.bulk needs compute capability 9.0";
        ceilings_.push_back(std::move(ceiling));
        continue;
      }
      const auto enqueue = [&](std::int64_t offset) {
        const ReadParams params = read_params(source_, bytes, offset);
        const auto blocks =
            static_cast<std::uint32_t>(info().num_multiprocessors * RingConfig::blocks_per_multiprocessor());
        return cuda::launch(*ring, stream_,
                            {.grid = {blocks},
                             .block = {RingConfig::num_threads()},
                             .dynamic_shared_bytes = static_cast<std::uint32_t>(kConfig.smem_bytes()),
                             .programmatic_serialization = true},
                            &params);
      };
      BARACUDA_RETURN_IF_ERROR(check_sum(ceiling.name, random_word_sum(bytes), [&] { return enqueue(0); }));
      const int runs = static_cast<int>(std::min<std::int64_t>(64, source_.bytes() / bytes));
      const auto rotate = [&]() -> Result<void> {
        for (int i = 0; i < runs; ++i) BARACUDA_RETURN_IF_ERROR(enqueue(i * bytes));
        return {};
      };
      BARACUDA_ASSIGN_OR_RETURN(ceiling.timed, time_graph(stream_, runs, /*is_cold=*/true, rotate));
      ceilings_.push_back(std::move(ceiling));
    }
    return {};
  }

  // ---- arithmetic ----

  Result<void> make_matrix_ceilings() {
    for (const MatrixKind kind : {MatrixKind::S8, MatrixKind::F16}) {
      const auto sms = static_cast<std::uint32_t>(info().num_multiprocessors);
      const std::string_view elements = kind == MatrixKind::S8 ? "s8" : "f16";
      BARACUDA_RETURN_IF_ERROR(add_matrix_ceiling(
          kind,
          {.name = fmt::format("mma {}", elements),
           .how = fmt::format("mma.sync m16n8k{}, from registers", kind == MatrixKind::S8 ? 32 : 16)},
          mma_rate_kernel(kind, target()), {MmaTile::rows(), MmaTile::columns(), MmaTile::row_bytes(), 1, 1},
          {.grid = {sms * MmaTile::blocks_per_multiprocessor()}, .block = {MmaTile::num_threads()}},
          MmaTile::num_threads() / 32));
      Ceiling wgmma{
          .name = fmt::format("wgmma {}", elements),
          .how = fmt::format("wgmma m64n256k{}, both operands in shared memory", kind == MatrixKind::S8 ? 32 : 16)};
      if (info().arch != Arch::Sm90a) {
        wgmma.absent = "wgmma needs compute capability 9.0";
        ceilings_.push_back(std::move(wgmma));
        continue;
      }
      BARACUDA_RETURN_IF_ERROR(
          add_matrix_ceiling(kind, std::move(wgmma), wgmma_rate_kernel(kind, target()),
                             {WgmmaTile::rows(), WgmmaTile::columns(), WgmmaTile::row_bytes(), WgmmaTile::stages(),
                              WgmmaTile::num_warpgroups()},
                             {.grid = {sms},
                              .block = {WgmmaTile::num_threads()},
                              .dynamic_shared_bytes = static_cast<std::uint32_t>(WgmmaTile::smem_bytes())},
                             WgmmaTile::num_warpgroups()));
    }
    return {};
  }

  Result<void> add_matrix_ceiling(MatrixKind kind, Ceiling ceiling, const jit::KernelSpec& spec,
                                  const MatrixShape& shape, const cuda::LaunchShape& launch_shape,
                                  int tiles_per_block) {
    BARACUDA_ASSIGN_OR_RETURN(const KernelPtr kernel, load(spec, stream_));
    testing::Random random(1);
    const MatrixOperands operands = random_operands(kind, shape, random);
    BARACUDA_ASSIGN_OR_RETURN(Buffer a, upload(operands.a));
    BARACUDA_ASSIGN_OR_RETURN(Buffer b, upload(operands.b));
    const auto enqueue = [&](std::int64_t iterations, void* d) {
      const MatrixParams params{a.data(), b.data(), iterations, d};
      return cuda::launch(*kernel, stream_, launch_shape, &params);
    };

    constexpr int kCheckedIterations = 3;
    const std::int64_t num_tiles = std::int64_t{launch_shape.grid.x} * tiles_per_block;
    BARACUDA_ASSIGN_OR_RETURN(Buffer d, Buffer::allocate(stream_, num_tiles * shape.tile_elems() * 4));
    BARACUDA_RETURN_IF_ERROR(d.fill(stream_, 0xff));
    BARACUDA_RETURN_IF_ERROR(enqueue(kCheckedIterations, d.data()));
    std::vector<std::uint32_t> result(static_cast<std::size_t>(num_tiles * shape.tile_elems()));
    BARACUDA_RETURN_IF_ERROR(d.copy_to_host(stream_, result.data(), d.bytes()));
    BARACUDA_RETURN_IF_ERROR(stream_.synchronize());
    if (const std::string problem = compare_products(kind, shape, operands, kCheckedIterations, result);
        !problem.empty())
      return wrong(ceiling.name, problem);

    // Long enough that start and end weigh nothing, and several in a row, so that the clock is one that lasts.
    constexpr double kLaunchSeconds = 2e-3;
    constexpr int kLaunches = 4;
    constexpr std::int64_t kTrialIterations = 1000;
    const auto trial = [&] { return enqueue(kTrialIterations, nullptr); };
    BARACUDA_RETURN_IF_ERROR(trial());
    BARACUDA_ASSIGN_OR_RETURN(const double seconds, time_once(trial));
    const auto iterations = static_cast<std::int64_t>(std::max(1.0, kTrialIterations * kLaunchSeconds / seconds));
    const auto launches = [&]() -> Result<void> {
      for (int i = 0; i < kLaunches; ++i) BARACUDA_RETURN_IF_ERROR(enqueue(iterations, nullptr));
      return {};
    };
    BARACUDA_ASSIGN_OR_RETURN(ceiling.timed, time_graph(stream_, kLaunches, /*is_cold=*/false, launches));
    ceiling.bounds = Ceiling::Bounds::Math;
    ceiling.math = kind == MatrixKind::S8 ? MathPrecision::Int8 : MathPrecision::F16;
    ceiling.amount = shape.ops(kind) * static_cast<double>(iterations * num_tiles);
    operands_.push_back(std::move(a));
    operands_.push_back(std::move(b));
    kernels_.push_back(kernel);
    ceilings_.push_back(std::move(ceiling));
    return {};
  }

  Result<Buffer> upload(const std::vector<std::byte>& bytes) {
    BARACUDA_ASSIGN_OR_RETURN(Buffer buffer, Buffer::allocate(stream_, static_cast<std::int64_t>(bytes.size())));
    BARACUDA_RETURN_IF_ERROR(buffer.copy_from_host(stream_, bytes.data(), buffer.bytes()));
    BARACUDA_RETURN_IF_ERROR(stream_.synchronize());
    return buffer;
  }

  const Stream stream_;
  Event begin_, end_;
  const Result<GpuClocks> clocks_;
  Buffer source_, dest_, flush_, sum_;
  KernelPtr read_, empty_;
  // What graphs refer to.
  std::vector<Buffer> operands_;
  std::vector<KernelPtr> kernels_;
  std::vector<Ceiling> ceilings_;
};

}  // namespace

Result<std::unique_ptr<DeviceBench>> make_cuda_bench(int ordinal) { return CudaBench::create(ordinal); }

}  // namespace baracuda::bench
