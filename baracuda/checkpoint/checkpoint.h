#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/checkpoint/safetensors.h"
#include "baracuda/core/export.h"
#include "baracuda/core/result.h"

namespace baracuda {

/// All tensors of a model: those of one .safetensors file, or of the shards that an index lists:
///
///   {"metadata": {…}, "weight_map": {"name of a tensor": "name of its file", …}}
///
/// metadata and other keys are ignored. Tensors are valid while this object lives, wherever it is moved to.
///
/// Source: https://huggingface.co/docs/transformers/big_models
class BARACUDA_API Checkpoint {
 public:
  /// `path` is a .safetensors file, an index (*.json), or a folder as the Hub lays one out: with model.safetensors in
  /// it, or else model.safetensors.index.json beside its shards. An index and its shards must agree: every tensor that
  /// it lists is in the shard that it names, and the shards hold no other. A shard is a file beside the index; a name
  /// that leads elsewhere is refused, but symbolic links are followed, for the Hub's cache is made of them. Errors: Io;
  /// MalformedFile, with a message that names file and tensor; Backend (no host memory).
  static Result<Checkpoint> open(const std::string& path) noexcept;

  /// The shards by name, or the one file. `tensors()` of each are what there is.
  std::span<const SafetensorsFile> files() const { return files_; }
  /// In any of the files. Null if there is none of that name.
  const SafetensorsTensor* find(std::string_view name) const;

 private:
  Checkpoint() = default;
  std::vector<SafetensorsFile> files_;
};

}  // namespace baracuda
