// How the sanitizers of the presets asan and tsan run; the environment, ASAN_OPTIONS and so on, comes on top. They look
// for functions of these names.

extern "C" {

const char* __asan_default_options() { return "detect_stack_use_after_return=1:strict_string_checks=1"; }

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

// A finding ends the test, which has failed then.
const char* __tsan_default_options() { return "halt_on_error=1:second_deadlock_stack=1"; }

// NVRTC is not instrumented: what keeps its threads apart is not seen, but its calls of free and memcpy are.
const char* __tsan_default_suppressions() { return "called_from_lib:libnvrtc.so\n"; }

}  // extern "C"
