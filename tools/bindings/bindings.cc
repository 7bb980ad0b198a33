// The description of the plans, what visit_fields lists of each descriptor and of its Args:
//
//   baracuda_bindings HEADER FIRST_SIZES    as C, anew between the marks <generated> and </generated> of the header;
//                                           and the sizes of structs that the other file does not have yet
//   baracuda_bindings --json                as JSON, for other bindings
#include <fmt/core.h>

#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/capi/c_fields.h"
#include "baracuda/capi/element_types.h"

namespace baracuda::tools {
namespace {

using capi::FieldKind;
using nlohmann::ordered_json;

/// "KvCacheLayout", as the compiler spells E in this function's name.
template <class E>
std::string type_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text = text.substr(text.find("E = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  return std::string(text.substr(text.rfind(':') + 1));
}

/// "kv_cache_layout"
std::string snake_case(std::string_view name) {
  std::string text;
  for (char c : name) {
    if (std::isupper(c) && !text.empty()) text += '_';
    text += static_cast<char>(std::tolower(c));
  }
  return text;
}

std::string upper_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(c));
  return text;
}

/// An enumeration that some field has.
struct Enumeration {
  std::string name;  ///< "kv_cache_layout"
  std::vector<std::pair<std::string, int>> enumerators;
};

struct Field {
  std::string name;
  FieldKind kind;
  std::string enumeration;  ///< of Enumerator, Set and Name
  bool is_optional, has_flag, is_writable;
  std::size_t offset;  ///< in the C struct, of the flag where there is one
  ordered_json default_value;
};

struct Struct {
  std::string type;  ///< "WriteSliceDescriptor"
  std::vector<Field> fields;
  std::size_t bytes;
};

struct OpDescription {
  std::string name, plan;
  Struct descriptor, args;
};

class Description {
 public:
  Description() {
    preference = describe<PlanPreference>();
#define PLAN(name, P) ops.push_back({#name, #P, describe<typename P::Descriptor>(), describe<typename P::Args>()});
#include "baracuda/capi/ops.def"
  }

  std::vector<Enumeration> enumerations;  ///< in the order in which fields have them
  std::vector<std::string> operators;     ///< the names that ElementwiseOp's fields take
  Struct preference;
  std::vector<OpDescription> ops;

 private:
  template <class E>
  std::string add() {
    const std::string name = snake_case(type_name<E>());
    for (const Enumeration& known : enumerations)
      if (known.name == name) return name;
    Enumeration added{name, {}};
    for (int i = 0; i < capi::kEnumValues; ++i)
      if (const E value = static_cast<E>(i); capi::is_enumerator(value))
        added.enumerators.emplace_back(name_of(value), i);
    enumerations.push_back(std::move(added));
    return name;
  }

  template <class T>
  std::string enumeration_of() {
    using Value = typename capi::OptionalOf<T>::Value;
    if constexpr (capi::kind_of<T>() == FieldKind::Enumerator) {
      return add<Value>();
    } else if constexpr (capi::kind_of<T>() == FieldKind::Set) {
      return add<typename capi::SetOf<Value>::Enum>();
    } else if constexpr (capi::kind_of<T>() == FieldKind::Name) {
      if (operators.empty())
        for (int i = 0; i < capi::kEnumValues; ++i)
          if (const Value value = static_cast<Value>(i); capi::is_enumerator(value))
            operators.emplace_back(name_of(value));
      return snake_case(type_name<Value>());
    }
    return {};
  }

  template <class T>
  static ordered_json default_of(const T& value) {
    constexpr FieldKind kKind = capi::kind_of<T>();
    if constexpr (capi::kIsOptional<T> || capi::is_view(kKind) || kKind == FieldKind::Name)
      return nullptr;
    else if constexpr (kKind == FieldKind::Enumerator)
      return name_of(value);
    else if constexpr (kKind == FieldKind::Extents || kKind == FieldKind::Set)
      return ordered_json::array();
    else
      return value;
  }

  template <class S>
  Struct describe() {
    Struct description{type_name<S>(), {}, sizeof(std::size_t)};
    const S defaults{};
    visit_fields(defaults, [&]<class T>(const char* name, const T& value) {
      description.fields.push_back({name, capi::kind_of<T>(), enumeration_of<T>(), capi::kIsOptional<T>,
                                    capi::kHasFlag<T>, capi::kIsWritable<T>, description.bytes, default_of(value)});
      description.bytes += capi::kFieldBytes<T>;
    });
    return description;
  }
};

// ---- the header -----------------------------------------------------------------------------------------------------

std::string c_type(const Field& field) {
  switch (field.kind) {
    case FieldKind::Flag: return "baracuda_flag ";
    case FieldKind::Integer: return "int64_t ";
    case FieldKind::Real: return "double ";
    case FieldKind::Extents: return "baracuda_dims ";
    case FieldKind::Enumerator: return fmt::format("baracuda_{} ", field.enumeration);
    case FieldKind::Name: return "const char* ";
    case FieldKind::Set: return "uint64_t ";
    case FieldKind::Tensor:
    case FieldKind::Vector: return "const DLTensor* ";
  }
  return {};
}

std::string c_comment(const Field& field, bool is_descriptor) {
  std::string text;
  switch (field.kind) {
    case FieldKind::Name: text = "an operator's name, required"; break;
    case FieldKind::Set: text = fmt::format("bit i: baracuda_{} i", field.enumeration); break;
    case FieldKind::Tensor: text = field.is_writable ? "written" : "read"; break;
    case FieldKind::Vector: text = field.is_writable ? "written, a vector" : "read, a vector"; break;
    case FieldKind::Enumerator:
      if (is_descriptor && !field.is_optional)
        text = fmt::format("default BARACUDA_{}_{}", upper_case(field.enumeration),
                           upper_case(field.default_value.get<std::string>()));
      break;
    case FieldKind::Integer:
    case FieldKind::Flag:
      if (is_descriptor && !field.is_optional && field.default_value != 0 && field.default_value != false)
        text = "default " + field.default_value.dump();
      break;
    default: break;
  }
  if (capi::is_view(field.kind) && field.is_optional) text += "; may be NULL";
  return text.empty() ? "" : "  ///< " + text;
}

std::string c_struct(const std::string& name, const Struct& description, bool is_descriptor) {
  std::string text = fmt::format("typedef struct baracuda_{} {{\n  size_t struct_size;\n", name);
  for (const Field& field : description.fields) {
    if (field.has_flag) text += fmt::format("  baracuda_flag has_{};\n", field.name);
    text += fmt::format("  {}{};{}\n", c_type(field), field.name, c_comment(field, is_descriptor));
  }
  return text + fmt::format("}} baracuda_{};\n", name);
}

std::string c_functions(const std::string& op) {
  return fmt::format(
      R"(BARACUDA_C_API baracuda_status baracuda_{0}_descriptor_init(
    baracuda_{0}_descriptor* descriptor, size_t struct_size) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_{0}_select(
    const baracuda_stream* stream, const baracuda_{0}_descriptor* descriptor,
    const baracuda_preference* preference, baracuda_plan** plan) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_{0}_run(
    const baracuda_plan* plan, const baracuda_stream* stream, void* workspace, size_t workspace_bytes,
    const baracuda_{0}_args* args) BARACUDA_C_NOEXCEPT;
BARACUDA_C_API baracuda_status baracuda_{0}_bind(
    const baracuda_plan* plan, const baracuda_{0}_args* args,
    baracuda_call** call) BARACUDA_C_NOEXCEPT;
)",
      op);
}

std::string c_declarations(const Description& description) {
  std::string text = fmt::format("#define BARACUDA_HEADER_VERSION \"{}\"\n", version());
  for (const Enumeration& enumeration : description.enumerations) {
    const std::string prefix = "BARACUDA_" + upper_case(enumeration.name);
    text += fmt::format("\ntypedef int64_t baracuda_{};\nenum {{\n", enumeration.name);
    for (const auto& [name, value] : enumeration.enumerators) {
      const bool is_last = name == enumeration.enumerators.back().first;
      text += fmt::format("  {}_{} = {}{}\n", prefix, upper_case(name), value, is_last ? "" : ",");
    }
    text += "};\n";
  }
  text +=
      "\n/// What a caller demands of the choice, baracuda/core/preference.h. Zeros and struct_size: nothing; so does "
      "NULL.\n" +
      c_struct("preference", description.preference, true);
  for (const OpDescription& op : description.ops) {
    const std::string cpp_name = op.plan.substr(0, op.plan.rfind("Plan"));
    text += fmt::format("\n// {}: {}Descriptor, {}Args\n\n", op.name, cpp_name, cpp_name);
    text += c_struct(op.name + "_descriptor", op.descriptor, true) + "\n";
    text += c_struct(op.name + "_args", op.args, false) + "\n";
    text += c_functions(op.name);
  }
  return text;
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

const char* name_of(FieldKind kind) {
  switch (kind) {
    case FieldKind::Flag: return "flag";
    case FieldKind::Integer: return "integer";
    case FieldKind::Real: return "real";
    case FieldKind::Extents: return "dims";
    case FieldKind::Enumerator: return "enum";
    case FieldKind::Name: return "name";
    case FieldKind::Set: return "set";
    case FieldKind::Tensor: return "tensor";
    case FieldKind::Vector: return "vector";
  }
  return "invalid";
}

ordered_json to_json(const Struct& description) {
  ordered_json fields = ordered_json::array();
  for (const Field& field : description.fields) {
    ordered_json json = {{"name", field.name},
                         {"kind", name_of(field.kind)},
                         {"offset", field.offset},
                         {"optional", field.is_optional},
                         {"has_flag", field.has_flag}};
    if (!field.enumeration.empty()) json["enum"] = field.enumeration;
    if (capi::is_view(field.kind))
      json["writable"] = field.is_writable;
    else
      json["default"] = field.default_value;
    fields.push_back(std::move(json));
  }
  return {{"bytes", description.bytes}, {"fields", fields}};
}

ordered_json to_json(const Description& description) {
  ordered_json enums, ops = ordered_json::array();
  for (const Enumeration& enumeration : description.enumerations)
    for (const auto& [name, value] : enumeration.enumerators) enums[enumeration.name][name] = value;
  for (const OpDescription& op : description.ops)
    ops.push_back(
        {{"name", op.name}, {"plan", op.plan}, {"descriptor", to_json(op.descriptor)}, {"args", to_json(op.args)}});
  ordered_json statuses, dtypes;
  for (int i = 1; i < capi::kEnumValues; ++i)
    if (const auto kind = static_cast<ErrorKind>(i); capi::is_enumerator(kind))
      statuses[std::string(baracuda::name_of(kind))] = i;
  for (const capi::ElementType& type : capi::kElementTypes)
    dtypes[std::string(baracuda::name_of(type.element))] = {{"code", static_cast<int>(type.code)}, {"bits", type.bits}};
  return {{"version", version()},
          {"statuses", statuses},
          {"dtypes", dtypes},
          {"enums", enums},
          {"operators", description.operators},
          {"preference", to_json(description.preference)},
          {"ops", ops}};
}

// ---- files ----------------------------------------------------------------------------------------------------------

std::string read(const char* path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int write(const char* path, const std::string& content) {
  std::ofstream file(path);
  file << content;
  return file.flush() ? 0 : 1;
}

int update_header(const char* path, const std::string& generated) {
  std::string content = read(path);
  constexpr std::string_view kBegin = "/* <generated> */\n", kEnd = "/* </generated> */\n";
  const std::size_t begin = content.find(kBegin), end = content.find(kEnd);
  if (begin == content.npos || end == content.npos) {
    fmt::print(stderr, "{}: expected a file with the marks <generated> and </generated>\n", path);
    return 1;
  }
  content.replace(begin + kBegin.size(), end - begin - kBegin.size(), generated);
  return write(path, content);
}

/// A size that is there stays, for it is what programs were built with.
int update_first_sizes(const char* path, const Description& description) {
  const std::string before = read(path);
  std::string content =
      "// sizeof the structs of the C ABI as each first came out: programs may have them so short, and never shorter.\n"
      "// `make bindings` adds the lines of new structs, and leaves those that are here.\n";
  const auto add = [&](const Struct& each) {
    const std::string line = fmt::format("FIRST_SIZE({}, ", each.type);
    const std::size_t place = before.find(line);
    content += line;
    if (place == before.npos)
      content += fmt::format("{})\n", each.bytes);
    else
      content.append(before, place + line.size(), before.find('\n', place) + 1 - place - line.size());
  };
  add(description.preference);
  for (const OpDescription& op : description.ops) {
    add(op.descriptor);
    add(op.args);
  }
  return write(path, content + "#undef FIRST_SIZE\n");
}

}  // namespace
}  // namespace baracuda::tools

int main(int argc, char** argv) {
  using namespace baracuda::tools;
  const Description description;
  if (argc == 2 && argv[1] == std::string_view("--json")) {
    fmt::print("{}\n", to_json(description).dump(2));
    return 0;
  }
  if (argc != 3) {
    fmt::print(stderr, "usage: baracuda_bindings --json | baracuda_bindings HEADER FIRST_SIZES\n");
    return 2;
  }
  const int status = update_header(argv[1], c_declarations(description));
  return status ? status : update_first_sizes(argv[2], description);
}
