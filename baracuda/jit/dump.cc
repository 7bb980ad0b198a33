#include "baracuda/jit/dump.h"

#include "baracuda/jit/files.h"

namespace baracuda::jit {
namespace {

void dump_file(const std::string& dir, const std::string& name, std::string_view bytes) {
  Result<void> written = make_folders(dir);
  if (written) written = write_and_rename(dir, name, bytes);
  if (!written) say("cannot write what BARACUDA_JIT_DUMP asks for: " + written.error().message);
}

std::string stem(const KernelSpec& spec, const KernelKey& key) {
  constexpr std::size_t kDropped = 64 - 12;
  std::string stem = file_stem(spec, key);
  stem.resize(stem.size() - kDropped);
  return stem;
}

}  // namespace

void dump_kernel(const std::string& dir, const KernelSpec& spec, const CompiledKernel& kernel) {
  dump_failed_kernel(dir, spec, kernel.key, kernel.log);
  dump_file(dir, stem(spec, kernel.key) + ".cubin",
            {reinterpret_cast<const char*>(kernel.cubin.data()), kernel.cubin.size()});
}

void dump_failed_kernel(const std::string& dir, const KernelSpec& spec, const KernelKey& key, std::string_view log) {
  std::string text = "//";
  for (const std::string& option : compile_options(spec.target, spec.debug)) text += " " + option;
  dump_file(dir, stem(spec, key) + ".cu", text + "\n" + spec.text);
  dump_file(dir, stem(spec, key) + ".log", log);
}

}  // namespace baracuda::jit
