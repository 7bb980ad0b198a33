#include "baracuda/checkpoint/checkpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <map>

#include "baracuda/checkpoint/json.h"
#include "baracuda/checkpoint/paths.h"
#include "baracuda/core/propagate.h"

namespace baracuda {
namespace {

using json::in_quotes;
using json::malformed;
using json::Value;

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::size_t kMaxIndexBytes = 100'000'000;  // as a header may have

/// What an index says of a shard: its tensors, with the place of each in the index.
using Listed = std::map<std::string_view, std::size_t>;

struct Index {
  std::size_t offset = 0;  ///< of weight_map
  std::map<std::string, Listed> shards;
};

/// Whether a name stays in the folder that it is looked up in, and can be printed as it is.
bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
         std::ranges::none_of(name, [](char c) { return c == '/' || json::is_control(c); });
}

Result<Index> read_index(const Value& root) {
  const Value* weight_map = root.find("weight_map");
  if (!weight_map) return malformed(root.offset, "no weight_map, expected an object of tensors and their files");
  const auto* tensors = weight_map->as<Value::Object>();
  if (!tensors)
    return malformed(weight_map->offset, fmt::format("weight_map is {}, expected an object", weight_map->kind()));
  Index index{weight_map->offset, {}};
  for (const json::Member& tensor : *tensors) {
    const auto* shard = tensor.value.as<std::string>();
    if (!shard)
      return malformed(tensor.value.offset, fmt::format("tensor {}: its file is {}, expected a string",
                                                        in_quotes(tensor.name), tensor.value.kind()));
    if (!is_file_name(*shard))
      return malformed(tensor.value.offset,
                       fmt::format("tensor {}: its file is {}, expected the name of a file beside "
                                   "the index, of at most {} bytes, without a folder or control characters",
                                   in_quotes(tensor.name), in_quotes(*shard), NAME_MAX));
    index.shards[*shard].emplace(tensor.name, tensor.value.offset);
  }
  return index;
}

/// That a shard holds what the index says and nothing else.
Result<void> check_shard(const SafetensorsFile& file, const Listed& listed, std::size_t weight_map_offset) {
  for (const auto& [name, offset] : listed)
    if (!file.find(name)) return malformed(offset, fmt::format("tensor {} is not in {}", in_quotes(name), file.path()));
  for (const SafetensorsTensor& tensor : file.tensors())
    if (!listed.contains(tensor.name))
      return malformed(weight_map_offset, fmt::format("weight_map does not say that tensor {} is in {}, where it is",
                                                      in_quotes(tensor.name), file.path()));
  return {};
}

Result<std::vector<SafetensorsFile>> open_shards(const std::string& index_path) {
  const auto in_index = [&](Error error) { return json::in_file("index", index_path, std::move(error)); };
  BARACUDA_ASSIGN_OR_RETURN(const Value root, json::read("index", index_path, kMaxIndexBytes));
  const Result<Index> index = read_index(root);
  if (!index) return in_index(index.error());

  std::vector<SafetensorsFile> files;
  for (const auto& [name, listed] : index->shards) {
    Result<SafetensorsFile> shard = SafetensorsFile::open(folder_of(index_path) + name);
    if (!shard) return shard.error().kind == ErrorKind::Io ? in_index(shard.error()) : shard.error();
    if (const Result<void> agree = check_shard(*shard, listed, index->offset); !agree) return in_index(agree.error());
    files.push_back(*std::move(shard));
  }
  return files;
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& path) noexcept try {
  std::string file = path;
  if (is_folder(path)) {
    file = path + "/model.safetensors";
    if (is_absent(file)) file = fmt::format("{}/{}", path, kIndexName);
    if (is_absent(file))
      return Error::io(ENOENT, fmt::format("{}: neither model.safetensors nor {} is in it; name a file of another name "
                                           "itself",
                                           path, kIndexName));
  }
  Checkpoint opened;
  if (file.ends_with(".json")) {
    BARACUDA_ASSIGN_OR_RETURN(opened.files_, open_shards(file));
  } else {
    BARACUDA_ASSIGN_OR_RETURN(SafetensorsFile one, SafetensorsFile::open(file));
    opened.files_.push_back(std::move(one));
  }
  return opened;
} catch (...) {
  return internal::thrown_error("Checkpoint");
}

const SafetensorsTensor* Checkpoint::find(std::string_view name) const {
  for (const SafetensorsFile& file : files_)
    if (const SafetensorsTensor* tensor = file.find(name)) return tensor;
  return nullptr;
}

}  // namespace baracuda
