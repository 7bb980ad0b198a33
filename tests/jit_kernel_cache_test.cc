// The cache around a compiler made here: neither NVRTC nor a GPU is needed.

#include "baracuda/jit/kernel_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <future>
#include <thread>

namespace baracuda::jit {
namespace {

KernelKey key_of(int number) {
  KernelKey key;
  key.digest[0] = static_cast<std::uint8_t>(number);
  return key;
}

KernelSpec spec_of(int number) { return {"k" + std::to_string(number), std::to_string(number), {}}; }

CompiledKernel kernel_of(const KernelSpec& spec) {
  CompiledKernel kernel;
  kernel.key = key_of(std::stoi(spec.text));
  kernel.resources.registers = 100 + std::stoi(spec.text);
  return kernel;
}

TEST(KernelCache, CompilesAKeyOnce) {
  std::atomic<int> compiled = 0;
  KernelCache cache([&](const KernelSpec& spec) -> Result<CompiledKernel> {
    ++compiled;
    return kernel_of(spec);
  });
  const auto first = cache.get(spec_of(1), key_of(1)), second = cache.get(spec_of(1), key_of(1));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ((*first)->resources.registers, 101);
  EXPECT_EQ(compiled, 1);
  EXPECT_EQ((*cache.get(spec_of(2), key_of(2)))->resources.registers, 102);
  EXPECT_EQ(compiled, 2);
}

TEST(KernelCache, OneOfManyThreadsCompiles) {
  constexpr int kThreads = 16;
  std::atomic<int> compiled = 0;
  std::atomic<int> arrived = 0;
  KernelCache cache([&](const KernelSpec& spec) -> Result<CompiledKernel> {
    ++compiled;
    while (arrived < kThreads) std::this_thread::yield();  // until all have asked or are about to
    return kernel_of(spec);
  });
  std::vector<KernelCache::KernelPtr> got(kThreads);
  std::vector<std::thread> threads;
  for (auto& each : got) {
    threads.emplace_back([&] {
      ++arrived;
      each = *cache.get(spec_of(1), key_of(1));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(compiled, 1);
  for (const auto& each : got) EXPECT_EQ(each, got[0]);
}

TEST(KernelCache, DistinctKeysCompileAtTheSameTime) {
  // Each compile ends only when the other has begun.
  std::barrier both(2);
  KernelCache cache([&](const KernelSpec& spec) -> Result<CompiledKernel> {
    both.arrive_and_wait();
    return kernel_of(spec);
  });
  std::thread other([&] { EXPECT_TRUE(cache.get(spec_of(1), key_of(1))); });
  EXPECT_TRUE(cache.get(spec_of(2), key_of(2)));
  other.join();
}

TEST(KernelCache, AFailureIsRememberedWithItsLog) {
  int compiled = 0;
  KernelCache cache([&](const KernelSpec&) -> Result<CompiledKernel> {
    ++compiled;
    return Error::backend(6, "the compiler's log");
  });
  for (int round = 0; round < 3; ++round) {
    const auto kernel = cache.get(spec_of(1), key_of(1));
    ASSERT_FALSE(kernel);
    EXPECT_EQ(kernel.error(), Error::backend(6, "the compiler's log"));
  }
  EXPECT_EQ(compiled, 1);
}

/// A store in memory that counts.
struct MapStore : KernelStore {
  std::optional<CompiledKernel> load(const KernelSpec&, const KernelKey& key) override {
    ++loads;
    const auto entry = kernels.find(key);
    return entry == kernels.end() ? std::nullopt : std::optional(entry->second);
  }
  void store(const KernelSpec&, const CompiledKernel& kernel) override { kernels[kernel.key] = kernel; }

  std::map<KernelKey, CompiledKernel> kernels;
  int loads = 0;
};

TEST(KernelCache, AsksTheStoreFirstAndTellsItAfter) {
  auto owned = std::make_unique<MapStore>();
  MapStore& store = *owned;
  store.kernels[key_of(1)] = kernel_of(spec_of(1));
  int compiled = 0;
  KernelCache cache(
      [&](const KernelSpec& spec) -> Result<CompiledKernel> {
        ++compiled;
        if (spec.text == "3") return Error::backend(6, "log");
        return kernel_of(spec);
      },
      std::move(owned));

  EXPECT_EQ((*cache.get(spec_of(1), key_of(1)))->resources.registers, 101);
  EXPECT_EQ(compiled, 0);
  EXPECT_TRUE(cache.get(spec_of(2), key_of(2)));
  EXPECT_EQ(compiled, 1);
  EXPECT_TRUE(store.kernels.contains(key_of(2)));
  EXPECT_FALSE(cache.get(spec_of(3), key_of(3)));
  EXPECT_FALSE(store.kernels.contains(key_of(3)));  // failures stay in memory

  const int loads = store.loads;
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(cache.get(spec_of(i), key_of(i)).has_value(), i != 3);
  EXPECT_EQ(store.loads, loads);
}

/// A store whose lock tells when it is held, and which another process fills while it is waited for.
struct LockingStore : MapStore {
  struct Held : Lock {
    explicit Held(bool& held) : held(held) { held = true; }
    ~Held() override { held = false; }
    bool& held;
  };
  std::unique_ptr<Lock> lock(const KernelSpec& spec, const KernelKey& key) override {
    if (other_compiles) kernels[key] = kernel_of(spec);
    return std::make_unique<Held>(held);
  }
  void store(const KernelSpec& spec, const CompiledKernel& kernel) override {
    held_in_store = held;
    MapStore::store(spec, kernel);
  }
  bool held = false, held_in_store = false, other_compiles = false;
};

TEST(KernelCache, HoldsTheStoresLockUntilTheKernelIsStored) {
  auto owned = std::make_unique<LockingStore>();
  LockingStore& store = *owned;
  int compiled = 0;
  KernelCache cache(
      [&](const KernelSpec& spec) -> Result<CompiledKernel> {
        ++compiled;
        EXPECT_TRUE(store.held);
        if (spec.text == "2") return Error::backend(6, "log");
        return kernel_of(spec);
      },
      std::move(owned));
  EXPECT_TRUE(cache.get(spec_of(1), key_of(1)));
  EXPECT_TRUE(store.held_in_store);
  EXPECT_FALSE(store.held);
  EXPECT_FALSE(cache.get(spec_of(2), key_of(2)));
  EXPECT_FALSE(store.held);
  EXPECT_EQ(compiled, 2);
  store.other_compiles = true;
  EXPECT_EQ((*cache.get(spec_of(3), key_of(3)))->resources.registers, 103);
  EXPECT_EQ(compiled, 2);
  EXPECT_FALSE(store.held);
}

TEST(KernelCache, RunningOutOfMemoryIsAnErrorForAllWhoWaitAndNotForEver) {
  std::promise<void> begun, fail;
  std::atomic<int> compiled = 0;
  KernelCache cache([&](const KernelSpec& spec) -> Result<CompiledKernel> {
    if (++compiled > 1) return kernel_of(spec);
    begun.set_value();
    fail.get_future().wait();
    throw std::bad_alloc();
  });
  const auto expect_error = [&] {
    const auto kernel = cache.get(spec_of(1), key_of(1));
    ASSERT_FALSE(kernel);
    EXPECT_EQ(kernel.error().kind, ErrorKind::Backend);
    EXPECT_NE(kernel.error().message.find("k1"), std::string::npos);
  };
  std::thread first(expect_error);
  begun.get_future().wait();
  std::thread second(expect_error);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // so that it waits
  fail.set_value();
  first.join();
  second.join();
  EXPECT_TRUE(cache.get(spec_of(1), key_of(1)));
}

}  // namespace
}  // namespace baracuda::jit
