// output = x + y in C, for tensors in host memory; y is a row that every row of x takes.
#include <stdio.h>
#include <stdlib.h>

#include "baracuda/capi/baracuda_c.h"

static void check(baracuda_status status) {
  if (status == BARACUDA_OK) return;
  fprintf(stderr, "%s: %s\n", baracuda_status_name(status), baracuda_last_error_message());
  exit(1);
}

static DLTensor tensor(float* data, int32_t ndim, int64_t* shape) {
  return (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = ndim, .dtype = {kDLFloat, 32, 1}, .shape = shape};
}

int main(void) {
  float x[2][3] = {{1, 2, 3}, {4, 5, 6}}, y[3] = {10, 20, 30}, output[2][3];
  int64_t shape[] = {2, 3};
  const DLTensor x_tensor = tensor(x[0], 2, shape), y_tensor = tensor(y, 1, shape + 1);
  const DLTensor output_tensor = tensor(output[0], 2, shape);

  check(baracuda_check_abi(BARACUDA_ABI_VERSION));
  baracuda_stream* stream;
  check(baracuda_stream_cpu(0, &stream));  // or baracuda_stream_cuda, with tensors in device memory

  baracuda_elementwise_descriptor descriptor;
  check(baracuda_elementwise_descriptor_init(&descriptor, sizeof descriptor));
  descriptor.op = "add";
  descriptor.shape = (baracuda_dims){.rank = 2, .sizes = {2, 3}};
  baracuda_plan* plan;
  check(baracuda_elementwise_select(stream, &descriptor, NULL, &plan));

  const baracuda_elementwise_args args = {
      .struct_size = sizeof args, .output = &output_tensor, .x = &x_tensor, .y = &y_tensor};
  baracuda_call* call;
  check(baracuda_elementwise_bind(plan, &args, &call));
  check(baracuda_call_run(call, stream, NULL, 0));  // as often as wanted

  const char* sku;
  check(baracuda_plan_sku(plan, &sku));
  printf("%s\n", sku);
  for (int i = 0; i < 6; ++i) printf("%g%c", output[i / 3][i % 3], i % 3 == 2 ? '\n' : ' ');

  baracuda_call_destroy(call);
  baracuda_plan_destroy(plan);
  baracuda_stream_destroy(stream);
}
