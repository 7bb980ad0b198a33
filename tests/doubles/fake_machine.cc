#include "tests/doubles/fake_machine.h"

#include <dlfcn.h>

#include <filesystem>

#include "baracuda/ops/write_slice/write_slice.h"

namespace baracuda::testing {
namespace {

/// Beside the folder of this binary.
std::string path_of(const char* library) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "doubles" / library;
}

template <class Controls>
Controls& load(const char* library, const char* controls) {
  // Never closed. By its SONAME the loader gives this libcuda to whoever asks for libcuda.so.1 later.
  void* handle = dlopen(path_of(library).c_str(), RTLD_NOW | RTLD_LOCAL);
  void* function = handle ? dlsym(handle, controls) : nullptr;
  if (!function) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::_Exit(3);
  }
  return *reinterpret_cast<Controls* (*)()>(function)();
}

}  // namespace

void expect_cpu_works() {
  const Stream stream = Stream::cpu(1);
  const auto plan = WriteSlicePlan::select(stream, {Element::U8, {4}, {1}, {3}});
  ASSERT_TRUE(plan) << plan.error().message;
  unsigned char dest[4] = {9, 9, 9, 9}, source[2] = {1, 2};
  const auto ran =
      plan->run(stream, Workspace::none(),
                {.dest = TensorMut::of(dest, {4}, Device::cpu()), .source = TensorRef::of(source, {2}, Device::cpu())});
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_TRUE(dest[0] == 9 && dest[1] == 1 && dest[2] == 2 && dest[3] == 9);
}

int run_with_fakes(void (*body)(const Fakes& fakes)) {
  body({load<FakeCuda>("libfake_cuda.so", "baracuda_fake_cuda"),
        load<FakeNvrtc>("libfake_nvrtc.so", "baracuda_fake_nvrtc")});
  expect_cpu_works();
  return ::testing::UnitTest::GetInstance()->Passed() ? 0 : 1;
}

std::vector<std::string> environment_of_fakes() {
  return {"BARACUDA_NVRTC_LIBRARY=" + path_of("libfake_nvrtc.so"),
          "BARACUDA_CACHE_MAX_BYTES=0",
          "BARACUDA_KERNEL_PACK=",
          "BARACUDA_JIT_DUMP=",
          "BARACUDA_JIT_DEBUG=0",
          "BARACUDA_VERBOSE=0"};
}

}  // namespace baracuda::testing
