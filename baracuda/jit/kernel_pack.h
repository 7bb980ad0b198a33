#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/result.h"
#include "baracuda/jit/jit.h"
#include "baracuda/jit/kernel_entry.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/jit/sha256.h"

namespace baracuda::jit {

/// Compiled kernels in one file, for machines where NVRTC is absent. Text first, so that `head` shows what it is:
///
///   baracuda kernel pack 1            the form's version
///   nvrtc 13.0                        the compiler of all of them, whose version is part of their keys
///   kernels <number>
///   kernel <bytes> ⏎ …                each as kernel_entry.h keeps one, checksum included, in the order of the keys
///
/// The same kernels make the same bytes: the compiler's times are left out, and its logs, which tell times.
struct KernelPack {
  NvrtcVersion nvrtc_version;
  std::map<KernelKey, std::shared_ptr<const KernelEntry>> kernels;
};

/// Errors: Backend (no SHA-256).
Result<std::string> encode_pack(const KernelPack& pack);

/// Errors: MalformedFile, with the offset of the first thing that encode_pack of this version did not write like that;
/// Backend (no SHA-256).
Result<KernelPack> decode_pack(std::string_view bytes);

/// `bytes`: of the file.
KernelPackInfo describe_pack(const std::string& path, std::size_t bytes, const KernelPack& pack);

/// The packs that have been loaded, in the order in which they are asked. Safe from many threads.
class KernelPacks {
 public:
  using KernelPtr = std::shared_ptr<const CompiledKernel>;

  /// `dump_dir`: for what is found (jit/dump.h); empty: nothing.
  explicit KernelPacks(std::string dump_dir = {}) : dump_dir_(std::move(dump_dir)) {}

  /// All of the file's kernels or, where it is not sound, none. A file whose bytes are loaded already adds nothing.
  /// Errors: as load_kernel_pack.
  Result<KernelPackInfo> load(const std::string& path);

  /// The first pack's that has it; null where none has. Each pack's keys are of the NVRTC that made it, so the one of
  /// this machine, if any, does not matter. Errors: as kernel_key.
  Result<KernelPtr> find(const KernelSpec& spec, std::span<const EmbeddedSource> sources = embedded_sources()) const;

  /// Says of a kernel that is in none of them why it cannot be had, where `no_compiler` says why it cannot be compiled.
  Error missing(const KernelSpec& spec, const Error& no_compiler) const;

  std::vector<KernelPackInfo> infos() const;

  /// The process's: those that BARACUDA_KERNEL_PACK names, from the first call on, and what load_kernel_pack adds.
  /// Errors: as load_kernel_pack, of the variable; MalformedFile stays for the life of the process, others are tried
  /// again.
  static Result<KernelPacks*> process();

 private:
  struct Loaded {
    KernelPackInfo info;
    Sha256 digest;  ///< of the file
    KernelPack pack;
  };
  std::vector<std::shared_ptr<const Loaded>> loaded() const;
  static Result<KernelPacks*> of_environment();

  const std::string dump_dir_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const Loaded>> loaded_;
};

}  // namespace baracuda::jit
