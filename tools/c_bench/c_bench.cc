// What calls through C take beside those of C++, on one thread and on tensors so small that little else is timed.
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "baracuda/baracuda.h"
#include "bench/device_bench.h"
#include "testing/c_call.h"

namespace baracuda::tools {
namespace {

[[noreturn]] void give_up(const Error& error) {
  fmt::print(stderr, "baracuda_c_bench: {}\n", error.message);
  std::exit(1);
}

Result<void> result_of(baracuda_status status) {
  if (status == BARACUDA_OK) return {};
  return Error{static_cast<ErrorKind>(status), baracuda_last_error_message()};
}

void require(const Result<void>& result) {
  if (!result) give_up(result.error());
}

/// A line of the table.
template <class P>
void measure(const char* name, const typename P::Descriptor& descriptor, const typename P::Args& args) {
  const Stream stream = Stream::cpu(1);
  const Result<P> plan = P::select(stream, descriptor);
  if (!plan) give_up(plan.error());

  testing::Random random(1);
  const testing::CCall call(descriptor, args, {}, random);
  baracuda_stream* new_stream = nullptr;
  require(result_of(baracuda_stream_cpu(1, &new_stream)));
  const std::unique_ptr<baracuda_stream, decltype(&baracuda_stream_destroy)> c_stream(new_stream,
                                                                                      baracuda_stream_destroy);
  baracuda_plan* new_plan = nullptr;
  require(result_of(call.select(new_stream, &new_plan)));
  const std::unique_ptr<baracuda_plan, decltype(&baracuda_plan_destroy)> c_plan(new_plan, baracuda_plan_destroy);
  baracuda_call* new_call = nullptr;
  require(result_of(call.op->bind(new_plan, call.args.data(), &new_call)));
  const std::unique_ptr<baracuda_call, decltype(&baracuda_call_destroy)> bound(new_call, baracuda_call_destroy);

  constexpr int kCalls = 2000;
  const auto nothing = []() -> Result<void> { return {}; };
  bench::Timed cpp = bench::time_calls(
      kCalls, [&] { return plan->run(stream, Workspace::none(), args); }, nothing);
  bench::Timed of_call = bench::time_calls(
      kCalls, [&] { return result_of(baracuda_call_run(new_call, new_stream, nullptr, 0)); }, nothing);
  bench::Timed of_run = bench::time_calls(
      kCalls, [&] { return result_of(call.op->run(new_plan, new_stream, nullptr, 0, call.args.data())); }, nothing);
  bench::Timed* const all[] = {&cpp, &of_call, &of_run};
  require(bench::interleave(all, bench::kHostRounds, [](double) {}));
  // The least of many: what else the machine does only adds.
  const auto ns = [](const bench::Timed& timed) { return 1e9 * timed.seconds().min; };
  fmt::print("{:<18} {:>7} {:>9.0f} {:>9.0f} {:>9.0f}\n", name, call.tensors.size(), ns(cpp), ns(of_call), ns(of_run));
}

}  // namespace
}  // namespace baracuda::tools

int main() {
  using namespace baracuda;
  const Device cpu = Device::cpu();
  float x[8] = {}, y[8] = {}, z[8] = {}, scale[1] = {1};
  std::int8_t q[8] = {};
  fmt::print("nanoseconds          tensors   C++ run  call_run    OP_run\n");
  tools::measure<ElementwisePlan>("elementwise neg", {.op = ElementwiseOp::Neg, .shape = {8}},
                                  {.output = TensorMut::of(y, {8}, cpu), .x = TensorRef::of(x, {8}, cpu)});
  tools::measure<ElementwisePlan>(
      "elementwise add", {.op = ElementwiseOp::Add, .shape = {8}},
      {.output = TensorMut::of(z, {8}, cpu), .x = TensorRef::of(x, {8}, cpu), .y = TensorRef::of(y, {8}, cpu)});
  tools::measure<WriteSlicePlan>("write_slice", {.dest_shape = {2, 4}, .start = {0, 1}, .end = {2, 3}},
                                 {.dest = TensorMut::of(y, {2, 4}, cpu), .source = TensorRef::of(x, {2, 2}, cpu)});
  tools::measure<QuantizePlan>(
      "quantize", {.shape = {8}},
      {.x = TensorRef::of(x, {8}, cpu), .scale = VectorRef::of(scale, 1, cpu), .q = TensorMut::of(q, {8}, cpu)});
}
