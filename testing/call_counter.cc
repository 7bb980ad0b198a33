#include "testing/call_counter.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <link.h>
#include <pthread.h>
#include <unwind.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <iterator>
#include <string_view>

namespace baracuda::testing {
namespace {

// The counter of this thread, null while nothing is counted: also while a call is being judged, since that may
// allocate.
thread_local constinit CallCounter* active_counter = nullptr;

bool works_for_its_caller(std::string_view path) {
  for (std::string_view name : {"libc.so", "libstdc++.so", "libgcc_s.so", "libm.so", "libfmt.so", "ld-linux"})
    if (path.find(name) != path.npos) return true;
  return false;
}

}  // namespace

CallCounter::CallCounter() {
  auto add_module = [](dl_phdr_info* info, std::size_t, void* modules) {
    auto& list = *static_cast<std::vector<Module>*>(modules);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = info->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X)) continue;
      const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
      // The loader lists the executable first, without a name.
      list.push_back(
          {info->dlpi_name, begin, begin + segment.p_memsz, list.empty(), works_for_its_caller(info->dlpi_name)});
    }
    return 0;
  };
  dl_iterate_phdr(add_module, &modules_);
  is_ours(__builtin_return_address(0));  // the unwinder's first run sets itself up
  active_counter = this;
}

const CallCounts& CallCounter::stop() {
  if (active_counter == this) active_counter = nullptr;
  return ours_;
}

void CallCounter::record(int CallCounts::*kind, void* caller) {
  active_counter = nullptr;
  CallCounts& counts = is_ours(caller) ? ours_ : theirs_;
  ++(counts.*kind);
  active_counter = this;
}

bool CallCounter::record_allocation(void* caller) {
  const int before = ours_.allocations;
  record(&CallCounts::allocations, caller);
  return ours_.allocations == before || before < first_failing_ || before >= end_failing_;
}

bool CallCounter::is_ours(void* caller) const {
  struct Walk {
    const CallCounter* counter;
    std::uintptr_t caller;
    bool reached_caller = false, is_ours = true;  // a stack that cannot be read counts against us
  } walk{this, reinterpret_cast<std::uintptr_t>(caller)};
  auto visit = [](_Unwind_Context* context, void* argument) {
    Walk& walk = *static_cast<Walk*>(argument);
    const std::uintptr_t address = _Unwind_GetIP(context);
    walk.reached_caller |= address == walk.caller;
    if (!walk.reached_caller) return _URC_NO_REASON;  // our own frames, above the function that was called
    for (const Module& module : walk.counter->modules_) {
      if (address < module.begin || address >= module.end) continue;
      if (module.is_neutral) return _URC_NO_REASON;
      walk.is_ours = module.is_ours;
      return _URC_END_OF_STACK;
    }
    walk.is_ours = false;  // loaded after counting began
    return _URC_END_OF_STACK;
  };
  _Unwind_Backtrace(visit, &walk);
  return walk.is_ours;
}

namespace {

void record(int CallCounts::*kind, void* caller) {
  if (active_counter) [[unlikely]]
    active_counter->record(kind, caller);
}

/// False where the allocation is to fail, with errno as malloc leaves it.
bool may_allocate(void* caller) {
  if (!active_counter || active_counter->record_allocation(caller)) [[likely]]
    return true;
  errno = ENOMEM;
  return false;
}

/// The function that ours stands in front of.
template <class F>
F* next_function(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

}  // namespace
}  // namespace baracuda::testing

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

using baracuda::testing::CallCounts;
using baracuda::testing::may_allocate;
using baracuda::testing::next_function;
using baracuda::testing::record;

#define RECORD(kind) record(&CallCounts::kind, __builtin_return_address(0))
#define MAY_ALLOCATE may_allocate(__builtin_return_address(0))

extern "C" {

// glibc's names for its allocator: dlsym would allocate before it had found malloc.
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) { return MAY_ALLOCATE ? __libc_malloc(bytes) : nullptr; }
void* calloc(std::size_t count, std::size_t bytes) { return MAY_ALLOCATE ? __libc_calloc(count, bytes) : nullptr; }
void* realloc(void* pointer, std::size_t bytes) { return MAY_ALLOCATE ? __libc_realloc(pointer, bytes) : nullptr; }
void* memalign(std::size_t alignment, std::size_t bytes) {
  return MAY_ALLOCATE ? __libc_memalign(alignment, bytes) : nullptr;
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return MAY_ALLOCATE ? __libc_memalign(alignment, bytes) : nullptr;
}
int posix_memalign(void** pointer, std::size_t alignment, std::size_t bytes) {
  if (!MAY_ALLOCATE) return ENOMEM;
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
  void* memory = __libc_memalign(alignment, bytes);
  if (!memory) return ENOMEM;
  *pointer = memory;
  return 0;
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static auto* const next = next_function<int(pthread_mutex_t*)>("pthread_mutex_lock");
  RECORD(locks);
  return next(mutex);
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  static auto* const next = next_function<int(pthread_mutex_t*)>("pthread_mutex_trylock");
  RECORD(locks);
  return next(mutex);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
  static auto* const next = next_function<int(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
  RECORD(locks);
  return next(lock);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
  static auto* const next = next_function<int(pthread_rwlock_t*)>("pthread_rwlock_wrlock");
  RECORD(locks);
  return next(lock);
}

char* getenv(const char* name) noexcept {
  static auto* const next = next_function<char*(const char*)>("getenv");
  RECORD(environment_reads);
  return next(name);
}
char* secure_getenv(const char* name) noexcept {
  static auto* const next = next_function<char*(const char*)>("secure_getenv");
  RECORD(environment_reads);
  return next(name);
}

int vsnprintf(char* buffer, std::size_t size, const char* format, va_list arguments) noexcept {
  static auto* const next = next_function<int(char*, std::size_t, const char*, va_list)>("vsnprintf");
  RECORD(formats);
  return next(buffer, size, format, arguments);
}
int snprintf(char* buffer, std::size_t size, const char* format, ...) noexcept {
  static auto* const next = next_function<int(char*, std::size_t, const char*, va_list)>("vsnprintf");
  RECORD(formats);
  va_list arguments;
  va_start(arguments, format);
  const int length = next(buffer, size, format, arguments);
  va_end(arguments);
  return length;
}

}  // extern "C"

// In front of libfmt.so's; the body does the same.
std::string fmt::vformat(string_view format, format_args arguments) {
  RECORD(formats);
  std::string text;
  fmt::vformat_to(std::back_inserter(text), format, arguments);
  return text;
}

#endif
