#include "baracuda/checkpoint/checkpoint.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>

#include "baracuda/checkpoint/json.h"
#include "baracuda/core/propagate.h"

namespace baracuda {
namespace {

using json::in_quotes;
using json::malformed;
using json::Value;

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::size_t kMaxIndexBytes = 100'000'000;  // as a header may have

bool exists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0;
}

bool is_folder(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// A shard's name, and what the index says is in it: the tensors, with the place of each in the index.
using Shards = std::map<std::string, std::map<std::string_view, std::size_t>>;

Result<Shards> read_shards(const Value& index) {
  const Value* weight_map = index.find("weight_map");
  if (!weight_map) return malformed(index.offset, "no weight_map, expected an object of tensors and their files");
  const auto* tensors = weight_map->as<Value::Object>();
  if (!tensors)
    return malformed(weight_map->offset, fmt::format("weight_map is {}, expected an object", weight_map->kind()));
  Shards shards;
  for (const json::Member& tensor : *tensors) {
    const auto* shard = tensor.value.as<std::string>();
    if (!shard)
      return malformed(tensor.value.offset, fmt::format("tensor {}: its file is {}, expected a string",
                                                        in_quotes(tensor.name), tensor.value.kind()));
    if (shard->empty() || *shard == "." || *shard == ".." || shard->find('/') != shard->npos ||
        shard->find('\0') != shard->npos)
      return malformed(tensor.value.offset, fmt::format("tensor {}: its file is {}, expected the name of a file beside "
                                                        "the index, without a folder",
                                                        in_quotes(tensor.name), in_quotes(*shard)));
    shards[*shard].emplace(tensor.name, tensor.value.offset);
  }
  return shards;
}

/// That a shard holds what the index says and nothing else.
Result<void> check_shard(const SafetensorsFile& file, const std::map<std::string_view, std::size_t>& listed) {
  for (const auto& [name, offset] : listed)
    if (!file.find(name)) return malformed(offset, fmt::format("tensor {} is not in {}", in_quotes(name), file.path()));
  for (const SafetensorsTensor& tensor : file.tensors())
    if (!listed.contains(tensor.name))
      return malformed(static_cast<std::size_t>(tensor.offset),
                       fmt::format("weight_map does not say that tensor {} is in {}, where it is",
                                   in_quotes(tensor.name), file.path()));
  return {};
}

Result<std::vector<SafetensorsFile>> open_shards(const std::string& index_path) {
  const auto in_index = [&](Error error) {
    error.message = fmt::format("index {}: {}", index_path, error.message);
    return error;
  };
  BARACUDA_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(index_path));
  if (file.bytes().size() > kMaxIndexBytes)
    return in_index(malformed(
        kMaxIndexBytes, fmt::format("it has {} bytes, expected at most {}", file.bytes().size(), kMaxIndexBytes)));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const Result<Value> index = json::parse(text);
  if (!index) return in_index(index.error());
  const Result<Shards> shards = read_shards(*index);
  if (!shards) return in_index(shards.error());

  const std::string folder = index_path.substr(0, index_path.rfind('/') + 1);  // "" where there is no '/'
  std::vector<SafetensorsFile> files;
  for (const auto& [name, listed] : *shards) {
    BARACUDA_ASSIGN_OR_RETURN(SafetensorsFile shard, SafetensorsFile::open(folder + name));
    if (const Result<void> agree = check_shard(shard, listed); !agree) return in_index(agree.error());
    files.push_back(std::move(shard));
  }
  return files;
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& path) noexcept try {
  std::string file = path;
  if (is_folder(path)) {
    file = path + "/model.safetensors";
    if (!exists(file)) file = fmt::format("{}/{}", path, kIndexName);
    if (!exists(file))
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
