#include "baracuda/jit/kernel_pack.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "baracuda/core/env.h"
#include "baracuda/core/propagate.h"
#include "baracuda/jit/dump.h"
#include "baracuda/jit/field_reader.h"
#include "baracuda/jit/files.h"

namespace baracuda::jit {
namespace {

constexpr std::string_view kFirstLine = "baracuda kernel pack 1\n";

Error malformed(std::size_t offset, std::string_view message) {
  return Error::malformed_file(static_cast<std::int64_t>(offset), fmt::format("{}, at byte {}", message, offset));
}

/// As KernelKey::hex writes it.
std::optional<KernelKey> parse_key(std::string_view hex_digits) {
  KernelKey key;
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (hex_digits.size() != 2 * key.digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < hex_digits.size(); ++i) {
    const std::size_t digit = kDigits.find(hex_digits[i]);
    if (digit == kDigits.npos) return std::nullopt;
    key.digest[i / 2] = static_cast<std::uint8_t>(key.digest[i / 2] << 4 | digit);
  }
  return key;
}

Error no_pack() {
  return malformed(0, fmt::format("this is no pack of kernels, or one of another version: expected \"{}\"",
                                  kFirstLine.substr(0, kFirstLine.size() - 1)));
}

/// What a reader says of bytes that end too early, or are other than they should be.
Error unexpected(const FieldReader& reader, std::string_view expected) {
  const std::string_view fault = reader.is_cut_short()   ? "the pack ends within"
                                 : reader.rest().empty() ? "the pack ends before"
                                                         : "expected";
  return malformed(reader.offset(), fmt::format("{} {}", fault, expected));
}

Error in_file(const std::string& path, Error error) {
  error.message = fmt::format("kernel pack {}: {}", path, error.message);
  return error;
}

/// The file, if it begins as a pack does: one of many gigabytes that does not is not read.
Result<std::string> read_pack(const std::string& path) {
  const File file(path, O_RDONLY | O_NONBLOCK);
  if (!file.is_open()) return io_error(path);
  std::string first_line(kFirstLine.size(), '\0');
  const ssize_t got = pread(file.fd(), first_line.data(), first_line.size(), 0);
  if (got < 0) return io_error(path);
  first_line.resize(static_cast<std::size_t>(got));
  if (first_line != kFirstLine) return in_file(path, no_pack());
  std::optional<std::string> bytes = read_all(file);
  if (!bytes) return io_error(path);
  return *std::move(bytes);
}

}  // namespace

Result<std::string> encode_pack(const KernelPack& pack) {
  std::string bytes =
      fmt::format("{}nvrtc {}\nkernels {}\n", kFirstLine, to_string(pack.nvrtc_version), pack.kernels.size());
  for (const auto& [key, entry] : pack.kernels) {
    CompiledKernel kernel = entry->kernel;
    kernel.log.clear();
    kernel.seconds = 0;
    BARACUDA_ASSIGN_OR_RETURN(const std::string encoded, encode_entry(entry->manifest, kernel));
    bytes += block("kernel", encoded);
  }
  return bytes;
}

Result<KernelPack> decode_pack(std::string_view bytes) {
  FieldReader reader(bytes);
  reader.expect(kFirstLine);
  if (!reader.sound()) return no_pack();
  KernelPack pack;
  std::size_t num_kernels = 0;
  reader.expect("nvrtc ");
  reader.number(pack.nvrtc_version.major);
  reader.expect(".");
  reader.number(pack.nvrtc_version.minor);
  reader.expect("\n");
  reader.number("kernels", num_kernels);
  if (!reader.sound()) return unexpected(reader, "the compiler's version and the number of kernels");

  for (std::size_t i = 0; i < num_kernels; ++i) {
    const std::string which = fmt::format("kernel {} of {}", i + 1, num_kernels);
    const std::string_view encoded = reader.block("kernel");
    if (!reader.sound()) return unexpected(reader, which);
    const std::size_t begin = reader.offset() - encoded.size() - 1;
    BARACUDA_ASSIGN_OR_RETURN(std::optional<KernelEntry> entry, decode_entry(encoded));
    if (!entry) return malformed(begin, which + " is damaged: its checksum does not hold");
    const auto key = parse_key(entry->manifest_field("key"));
    if (!key || entry->manifest_field("nvrtc") != to_string(pack.nvrtc_version))
      return malformed(begin, which + " has no key, or is not of the pack's compiler");
    if (!pack.kernels.empty() && *key <= pack.kernels.rbegin()->first)
      return malformed(begin, which + " is there twice, or not in the order of the keys");
    entry->kernel.key = *key;
    pack.kernels.emplace_hint(pack.kernels.end(), *key, std::make_shared<const KernelEntry>(*std::move(entry)));
  }
  if (!reader.ended_well()) return malformed(reader.offset(), "expected the end of the pack");
  return pack;
}

KernelPackInfo describe_pack(const std::string& path, std::size_t bytes, const KernelPack& pack) {
  std::set<std::string_view> targets;
  for (const auto& [key, entry] : pack.kernels) targets.insert(entry->manifest_field("target"));
  return {.path = path,
          .bytes = static_cast<std::int64_t>(bytes),
          .nvrtc_version = to_string(pack.nvrtc_version),
          .num_kernels = static_cast<std::int64_t>(pack.kernels.size()),
          .targets = {targets.begin(), targets.end()}};
}

Result<KernelPackInfo> KernelPacks::load(const std::string& path) {
  const auto named = [&](Error error) { return in_file(path, std::move(error)); };
  BARACUDA_ASSIGN_OR_RETURN(const std::string bytes, read_pack(path));
  BARACUDA_ASSIGN_OR_RETURN(KernelPack pack, decode_pack(bytes).transform_error(named));
  BARACUDA_ASSIGN_OR_RETURN(const Sha256 digest, sha256(bytes).transform_error(named));
  const KernelPackInfo info = describe_pack(path, bytes.size(), pack);
  const std::lock_guard lock(mutex_);
  for (const auto& each : loaded_)
    if (each->digest == digest) return info;
  loaded_.push_back(std::make_shared<const Loaded>(Loaded{info, digest, std::move(pack)}));
  return info;
}

std::vector<std::shared_ptr<const KernelPacks::Loaded>> KernelPacks::loaded() const {
  const std::lock_guard lock(mutex_);
  return loaded_;
}

Result<KernelPacks::KernelPtr> KernelPacks::find(const KernelSpec& spec,
                                                 std::span<const EmbeddedSource> sources) const {
  for (const auto& each : loaded()) {
    BARACUDA_ASSIGN_OR_RETURN(const KernelKey key, kernel_key(spec, each->pack.nvrtc_version, sources));
    const auto found = each->pack.kernels.find(key);
    if (found == each->pack.kernels.end()) continue;
    const KernelPtr kernel(found->second, &found->second->kernel);
    if (!dump_dir_.empty()) dump_kernel(dump_dir_, spec, *kernel);
    return kernel;
  }
  return KernelPtr();
}

Error KernelPacks::missing(const KernelSpec& spec, const Error& no_compiler) const {
  const std::string target = spec.target.name();
  const bool is_native = std::any_of(std::begin(kCudaArchs), std::end(kCudaArchs),
                                     [&](Arch arch) { return native_target(arch) == spec.target; });
  std::string message =
      fmt::format("kernel {} for {}{} ", spec.name, target, spec.debug ? " (BARACUDA_JIT_DEBUG)" : "");
  const auto packs = loaded();
  message += packs.empty() ? "is in no pack, for none is loaded, and cannot be compiled here"
                           : "is in no loaded pack, and cannot be compiled here";
  for (const auto& each : packs) {
    const bool has_namesake = std::any_of(each->pack.kernels.begin(), each->pack.kernels.end(), [&](const auto& other) {
      return other.second->manifest_field("name") == spec.name && other.second->manifest_field("target") == target;
    });
    message += fmt::format("{} {}{}", each == packs.front() ? ";" : ",", each->info.path,
                           has_namesake ? " has one of that name, but of other sources or options: another version of "
                                          "this library made it"
                                        : " does not have it");
  }
  message += fmt::format(
      ". Where there is a libnvrtc, `baracuda pack LIST -o FILE --arch {}{}` makes a pack; a line of LIST is the case, "
      "or \"{}\" for every kernel of the op. {}",
      is_native ? "" : "CLASS@", target, op_of(spec.name), no_compiler.message);
  return Error::unsupported(std::move(message));
}

std::vector<KernelPackInfo> KernelPacks::infos() const {
  std::vector<KernelPackInfo> infos;
  for (const auto& each : loaded()) infos.push_back(each->info);
  return infos;
}

Result<KernelPacks*> KernelPacks::of_environment() {
  const Environment& environment = Environment::process();
  auto packs = std::make_unique<KernelPacks>(environment.jit_dump);
  for (const std::string& path : environment.kernel_packs) {
    BARACUDA_RETURN_IF_ERROR(packs->load(path).transform_error([](Error error) {
      error.message = "BARACUDA_KERNEL_PACK: " + error.message;
      return error;
    }));
  }
  return packs.release();  // never destroyed, as the cache
}

Result<KernelPacks*> KernelPacks::process() {
  static std::mutex mutex;
  static auto& kept = *new std::optional<Result<KernelPacks*>>();
  const std::lock_guard lock(mutex);
  if (kept) return *kept;
  Result<KernelPacks*> packs = of_environment();
  // What is wrong with a file's bytes stays wrong; all else, such as too many open files, may pass.
  if (packs || packs.error().kind == ErrorKind::MalformedFile) kept = packs;
  return packs;
}

}  // namespace baracuda::jit
