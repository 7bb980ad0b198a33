// A libnvrtc without a compiler.

#include <cstring>

#include "tests/doubles/fakes.h"

struct _nvrtcProgram {
  std::string text;
};

namespace {

using baracuda::testing::FakeNvrtc;

FakeNvrtc& fake() {
  static FakeNvrtc controls;
  return controls;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT FakeNvrtc* baracuda_fake_nvrtc() { return &fake(); }

EXPORT int nvrtcVersion(int* major, int* minor) {
  *major = fake().major;
  *minor = fake().minor;
  return 0;
}
EXPORT const char* nvrtcGetErrorString(int status) {
  switch (status) {
    case 1: return "NVRTC_ERROR_OUT_OF_MEMORY";
    case 5: return "NVRTC_ERROR_INVALID_OPTION";
    case 6: return "NVRTC_ERROR_COMPILATION";
    default: return "NVRTC_ERROR";
  }
}
EXPORT int nvrtcCreateProgram(_nvrtcProgram** program, const char* text, const char*, int, const char* const*,
                              const char* const*) {
  *program = new _nvrtcProgram{text};
  return 0;
}
EXPORT int nvrtcDestroyProgram(_nvrtcProgram** program) {
  delete *program;
  *program = nullptr;
  return 0;
}
EXPORT int nvrtcCompileProgram(_nvrtcProgram*, int, const char* const*) {
  ++fake().compiles;
  return fake().compile_status;
}
EXPORT int nvrtcGetProgramLogSize(_nvrtcProgram*, std::size_t* bytes) { return *bytes = fake().log.size() + 1, 0; }
EXPORT int nvrtcGetProgramLog(_nvrtcProgram*, char* log) { return std::strcpy(log, fake().log.c_str()), 0; }
EXPORT int nvrtcGetCUBINSize(_nvrtcProgram* program, std::size_t* bytes) { return *bytes = program->text.size(), 0; }
EXPORT int nvrtcGetCUBIN(_nvrtcProgram* program, char* cubin) {
  std::memcpy(cubin, program->text.data(), program->text.size());
  return 0;
}
