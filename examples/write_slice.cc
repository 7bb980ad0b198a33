// dest[1:3, 2:6] = source, for a 4 × 6 tensor in host memory.
#include <cstdio>
#include <vector>

#include "baracuda/baracuda.h"

using namespace baracuda;

int main() {
  const Stream stream = Stream::cpu();  // or Stream::cuda(), with views of device memory

  const WriteSliceDescriptor descriptor{.element = Element::F32, .dest_shape = {4, 6}, .start = {1, 2}, .end = {3, 6}};
  const Result<WriteSlicePlan> plan = WriteSlicePlan::select(stream, descriptor);
  if (!plan) {
    std::fprintf(stderr, "%s\n", plan.error().to_string().c_str());
    return 1;
  }

  std::vector<float> dest(4 * 6), source = {1, 2, 3, 4, 5, 6, 7, 8};
  const WriteSliceArgs args{.dest = TensorMut::of(dest.data(), {4, 6}, stream.device()),
                            .source = TensorRef::of(source.data(), {2, 4}, stream.device())};
  if (const Result<void> ran = plan->run(stream, Workspace::none(), args); !ran) {
    std::fprintf(stderr, "%s\n", ran.error().to_string().c_str());
    return 1;
  }

  std::printf("%s\n", plan->sku().to_string().c_str());
  for (int i = 0; i < 4 * 6; ++i) std::printf("%g%c", dest[i], i % 6 == 5 ? '\n' : ' ');
}
