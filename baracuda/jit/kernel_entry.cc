#include "baracuda/jit/kernel_entry.h"

#include <fmt/core.h>

#include <cstring>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/field_reader.h"
#include "baracuda/jit/sha256.h"

namespace baracuda::jit {
namespace {

constexpr std::string_view kFirstLine = "baracuda kernel 1\n";

}  // namespace

std::string_view KernelEntry::manifest_field(std::string_view kind) const {
  for (std::string_view rest = manifest; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.size() > kind.size() && line.starts_with(kind) && line[kind.size()] == ' ')
      return line.substr(kind.size() + 1);
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return {};
}

Result<std::string> encode_entry(std::string_view manifest, const CompiledKernel& kernel) {
  const KernelResources& resources = kernel.resources;
  std::string warnings;
  for (const std::string& warning : resources.warnings) warnings += warning + "\n";
  std::string body = block("manifest", manifest);
  body +=
      fmt::format("registers {}\nstatic_shared_bytes {}\nstack_bytes {}\nspill_store_bytes {}\nspill_load_bytes {}\n",
                  resources.registers, resources.static_shared_bytes, resources.stack_bytes,
                  resources.spill_store_bytes, resources.spill_load_bytes);
  body += block("warnings", warnings);
  body += block("log", kernel.log);
  body += fmt::format("microseconds {}\n", static_cast<std::int64_t>(1e6 * kernel.seconds));
  body += block("cubin", {reinterpret_cast<const char*>(kernel.cubin.data()), kernel.cubin.size()});
  BARACUDA_ASSIGN_OR_RETURN(const Sha256 checksum, sha256(body));
  return fmt::format("{}checksum {}\n", kFirstLine, hex(checksum)) + body;
}

Result<std::optional<KernelEntry>> decode_entry(std::string_view bytes) {
  constexpr std::size_t kHexDigits = 2 * std::tuple_size_v<Sha256>;
  FieldReader reader(bytes);
  reader.expect(kFirstLine);
  reader.expect("checksum ");
  const std::string_view checksum = reader.rest().substr(0, kHexDigits);
  reader.expect(checksum);
  reader.expect("\n");
  if (!reader.sound()) return std::optional<KernelEntry>();
  BARACUDA_ASSIGN_OR_RETURN(const Sha256 actual, sha256(reader.rest()));
  if (hex(actual) != checksum) return std::optional<KernelEntry>();

  KernelEntry entry;
  KernelResources& resources = entry.kernel.resources;
  entry.manifest = reader.block("manifest");
  reader.number("registers", resources.registers);
  reader.number("static_shared_bytes", resources.static_shared_bytes);
  reader.number("stack_bytes", resources.stack_bytes);
  reader.number("spill_store_bytes", resources.spill_store_bytes);
  reader.number("spill_load_bytes", resources.spill_load_bytes);
  std::string_view warnings = reader.block("warnings");
  entry.kernel.log = reader.block("log");
  std::int64_t microseconds = 0;
  reader.number("microseconds", microseconds);
  const std::string_view cubin = reader.block("cubin");
  if (!reader.ended_well()) return std::optional<KernelEntry>();

  for (; !warnings.empty(); warnings.remove_prefix(std::min(warnings.find('\n'), warnings.size() - 1) + 1))
    resources.warnings.emplace_back(warnings.substr(0, warnings.find('\n')));
  entry.kernel.seconds = 1e-6 * static_cast<double>(microseconds);
  entry.kernel.cubin.resize(cubin.size());
  if (!cubin.empty()) std::memcpy(entry.kernel.cubin.data(), cubin.data(), cubin.size());
  return std::optional(std::move(entry));
}

}  // namespace baracuda::jit
