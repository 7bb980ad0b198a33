#include "baracuda/jit/kernel_spec.h"

#include <fmt/core.h>

#include <map>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/sha256.h"

namespace baracuda::jit {
namespace {

// Raise it when the meaning of a key or of what is stored under it changes.
constexpr std::uint64_t kFormatVersion = 1;

std::string_view skip_blanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  return begin == text.npos ? std::string_view() : text.substr(begin);
}

/// What the line includes in quotes; empty for any other line.
std::string_view quoted_include(std::string_view line) {
  for (const std::string_view token : {"#", "include", "\""}) {
    line = skip_blanks(line);
    if (!line.starts_with(token)) return {};
    line.remove_prefix(token.size());
  }
  return line.substr(0, line.find('"'));
}

template <class F>
void for_each_include(std::string_view text, F&& f) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (const std::string_view name = quoted_include(line); !name.empty()) f(name);
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
  }
}

/// Fields with their lengths before them, so that moving a byte from one to the next makes another sequence.
class FieldWriter {
 public:
  void add(std::string_view field) {
    add(field.size());
    bytes_ += field;
  }
  void add(std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) bytes_ += static_cast<char>(number >> shift);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// The name as a part of a file's name: of harmless characters, and so long that target and hash fit behind it.
std::string file_name_part(std::string_view name) {
  constexpr std::size_t kMaxBytes = 150;
  std::string part(name.substr(0, kMaxBytes));
  for (char& c : part) {
    const bool harmless = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
                          c == '_' || c == '-' || c == '+';
    if (!harmless) c = '_';
  }
  return part;
}

}  // namespace

Result<std::vector<const EmbeddedSource*>> included_sources(std::string_view text,
                                                            std::span<const EmbeddedSource> sources) {
  std::map<std::string_view, const EmbeddedSource*> found;
  std::vector<std::string_view> to_read = {text};
  std::string_view missing;
  while (!to_read.empty()) {
    const std::string_view next = to_read.back();
    to_read.pop_back();
    for_each_include(next, [&](std::string_view name) {
      if (found.contains(name)) return;
      for (const EmbeddedSource& source : sources) {
        if (source.name != name) continue;
        found[name] = &source;
        to_read.push_back(source.text);
        return;
      }
      missing = name;
    });
    if (!missing.empty()) {
      return Error::invalid_problem(
          fmt::format("a kernel includes \"{}\", which is not one of the embedded headers", missing));
    }
  }
  std::vector<const EmbeddedSource*> sorted;
  for (const auto& [name, source] : found) sorted.push_back(source);
  return sorted;
}

std::vector<std::string> compile_options(const CodeTarget& target, bool debug) {
  // ptxas rejects its options joined by commas. The last three put registers, spills and shared memory into the log.
  std::vector<std::string> options = {
      fmt::format("--gpu-architecture=sm_{}{}", target.sm, target.arch_specific ? "a" : ""),
      "-std=c++20",
      "--fmad=false",
      "-default-device",
      "--ptxas-options=-v",
      "--ptxas-options=--warn-on-spills",
      "--ptxas-options=--warn-on-local-memory-usage",
  };
  if (debug) options.insert(options.end(), {"--generate-line-info", "-DBARACUDA_DEVICE_ASSERTS"});
  return options;
}

std::string KernelKey::hex() const { return jit::hex(digest); }

Result<KernelKey> kernel_key(const KernelSpec& spec, NvrtcVersion version, std::span<const EmbeddedSource> sources) {
  BARACUDA_ASSIGN_OR_RETURN(const auto included, included_sources(spec.text, sources));
  const std::vector<std::string> options = compile_options(spec.target, spec.debug);

  FieldWriter fields;
  fields.add(kFormatVersion);
  fields.add(spec.text);
  fields.add(included.size());
  for (const EmbeddedSource* source : included) {
    fields.add(source->name);
    fields.add(source->text);
  }
  fields.add(options.size());
  for (const std::string& option : options) fields.add(option);
  fields.add(spec.target.name());
  fields.add(static_cast<std::uint64_t>(version.major));
  fields.add(static_cast<std::uint64_t>(version.minor));

  BARACUDA_ASSIGN_OR_RETURN(const Sha256 digest, sha256(fields.bytes()));
  return KernelKey{digest};
}

Result<std::string> kernel_manifest(const KernelSpec& spec, const KernelKey& key, NvrtcVersion version,
                                    std::span<const EmbeddedSource> sources) {
  BARACUDA_ASSIGN_OR_RETURN(const auto included, included_sources(spec.text, sources));
  BARACUDA_ASSIGN_OR_RETURN(const Sha256 text_digest, sha256(spec.text));
  std::string manifest =
      fmt::format("key {}\nname {}\ntarget {}\nnvrtc {}\ntext {}\n", key.hex(), file_name_part(spec.name),
                  spec.target.name(), to_string(version), hex(text_digest));
  for (const std::string& option : compile_options(spec.target, spec.debug))
    manifest += fmt::format("option {}\n", option);
  for (const EmbeddedSource* source : included) {
    BARACUDA_ASSIGN_OR_RETURN(const Sha256 digest, sha256(source->text));
    manifest += fmt::format("include {} {}\n", source->name, hex(digest));
  }
  return manifest;
}

std::string_view op_of(std::string_view kernel_name) { return kernel_name.substr(0, kernel_name.find('.')); }

std::string file_stem(const KernelSpec& spec, const KernelKey& key) {
  return fmt::format("{}.{}-{}", file_name_part(spec.name), spec.target.name(), key.hex());
}

}  // namespace baracuda::jit
