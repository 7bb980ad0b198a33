#include "testing/case_list.h"

#include <cstdio>
#include <memory>

#include "baracuda/jit/files.h"

namespace baracuda::testing {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace

std::vector<ListedCase> parse_case_list(std::string_view text, std::string_view name) {
  std::vector<ListedCase> cases;
  for (int line_number = 1; !text.empty(); ++line_number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (const std::string_view words = trimmed(line.substr(0, line.find('#'))); !words.empty())
      cases.push_back({std::string(words), std::string(name) + ":" + std::to_string(line_number)});
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
  }
  return cases;
}

Result<std::vector<ListedCase>> read_case_list(const std::string& path) {
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "stdin" : path;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(is_stdin ? nullptr : std::fopen(path.c_str(), "r"),
                                                             &std::fclose);
  std::FILE* const in = is_stdin ? stdin : file.get();
  if (!in) return jit::io_error(name);
  std::string text;
  char piece[4096];
  while (const std::size_t bytes = std::fread(piece, 1, sizeof(piece), in)) text.append(piece, bytes);
  if (std::ferror(in)) return jit::io_error(name);
  std::vector<ListedCase> cases = parse_case_list(text, name);
  if (cases.empty())
    return Error::invalid_problem(name + " has no case, expected lines such as \"write_slice element=f32 dest=4 …\"");
  return cases;
}

}  // namespace baracuda::testing
