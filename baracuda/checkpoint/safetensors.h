#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baracuda/checkpoint/mapped_file.h"
#include "baracuda/core/element.h"
#include "baracuda/core/export.h"
#include "baracuda/core/result.h"
#include "baracuda/core/view.h"

namespace baracuda {

/// One tensor of a SafetensorsFile, row-major, and valid while that file lives.
struct SafetensorsTensor {
  std::string name;
  std::string dtype;                 ///< as the file says it: "F16"
  std::optional<Element> element;    ///< nothing where no element kind is like that dtype
  std::vector<std::int64_t> shape;   ///< of any rank
  std::int64_t offset = 0;           ///< of its first byte in the file
  std::span<const std::byte> bytes;  ///< in the mapped file

  /// The tensor as a CPU view, bounded by its own bytes. A file may put it at an address that is no multiple of its
  /// element; plans refuse such a view as MisalignedOperand, and a copy of `bytes` helps.
  /// Errors: Unsupported (a dtype without an element, more than 8 axes), Backend (no host memory).
  BARACUDA_API Result<TensorRef> view() const noexcept;
};

/// A .safetensors file, mapped: opening it reads and checks the header alone. The format is
///
///   8 bytes     n, the length of the header, little-endian, at most 100 000 000
///   n bytes     JSON in UTF-8, from '{' on; white space may follow it
///               {"__metadata__": {"key": "value", …},                                 may be missing
///                "name": {"dtype": "F16", "shape": [4, 8], "data_offsets": [begin, end]}, …}
///   the rest    the tensors' bytes; begin and end count from here
///
/// Every byte of the rest belongs to exactly one tensor, and `end - begin` is what dtype and shape take. A tensor of a
/// dtype that no element kind is like (F4, F6_E2M3, F6_E3M2, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ), or that is newer than
/// this reader, is listed with its bytes, but has no view(). Members of a tensor's entry beyond the three are ignored.
/// docs/checkpoint.md lists the rules with their errors.
///
/// The file must not change while it is open (MappedFile). Any number of threads may read one object.
///
/// Source: https://github.com/huggingface/safetensors (README.md, safetensors/src/tensor.rs)
class BARACUDA_API SafetensorsFile {
 public:
  /// Errors: Io; MalformedFile, with the offset of what breaks a rule and a message that names file and tensor; Backend
  /// (no host memory).
  static Result<SafetensorsFile> open(const std::string& path) noexcept;

  const std::string& path() const { return file_.path(); }
  /// In the order of their bytes.
  std::span<const SafetensorsTensor> tensors() const { return tensors_; }
  /// Null if there is none of that name.
  const SafetensorsTensor* find(std::string_view name) const;
  /// The members of `__metadata__`, in the order of the file.
  std::span<const std::pair<std::string, std::string>> metadata() const { return metadata_; }

 private:
  SafetensorsFile() = default;
  MappedFile file_;
  std::vector<SafetensorsTensor> tensors_;
  std::vector<std::size_t> by_name_;  // indices into tensors_, sorted by name
  std::vector<std::pair<std::string, std::string>> metadata_;
};

}  // namespace baracuda
