// What is in a checkpoint: example_checkpoint [FOLDER|FILE]

#include <cstdio>

#include "baracuda/baracuda.h"

using namespace baracuda;

int main(int argc, char** argv) {
  const char* path = argc > 1 ? argv[1] : "tests/data/w4/awq-g128.safetensors";
  const Result<Checkpoint> checkpoint = Checkpoint::open(path);
  if (!checkpoint) {
    std::fprintf(stderr, "%s\n", checkpoint.error().to_string().c_str());
    return 1;
  }
  for (const SafetensorsFile& file : checkpoint->files())
    for (const SafetensorsTensor& tensor : file.tensors())
      if (const Result<TensorRef> view = tensor.view())  // for a plan on the CPU
        std::printf("%s %s %s\n", tensor.name.c_str(), name_of(view->element), view->shape.to_string().c_str());
}
