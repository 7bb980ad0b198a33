#include "python/src/stream.h"

#include <nanobind/nanobind.h>

#include "python/src/error.h"

namespace baracuda::python {

Stream cpu_stream(int num_threads) {
  baracuda_stream* stream = nullptr;
  check(baracuda_stream_cpu(num_threads, &stream));
  return Stream(stream, baracuda_stream_destroy);
}

Stream adopted_stream(std::uintptr_t handle, int ordinal) {
  baracuda_stream* stream = nullptr;
  check(baracuda_stream_adopt_cuda(reinterpret_cast<void*>(handle), ordinal, &stream));
  return Stream(stream, baracuda_stream_destroy);
}

void wait_for_default_stream(int ordinal) {
  const Stream stream = adopted_stream(0, ordinal);
  baracuda_status status;
  {
    const nanobind::gil_scoped_release released;
    status = baracuda_stream_synchronize(stream.get());
  }
  check(status);
}

}  // namespace baracuda::python
