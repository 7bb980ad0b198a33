#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/result.h"

namespace baracuda::testing {

/// A case of a list, and where it stands, for messages: "shapes.txt:3".
struct ListedCase {
  std::string text;
  std::string place;
};

/// The cases of a list: one a line, in the tool's grammar, or an op's name, which stands for what the command makes of
/// it: all its kernels for warm and pack, its default cases for bench. A # begins a comment that ends with its line;
/// what is blank then is no case. `name` is what messages call the list.
std::vector<ListedCase> parse_case_list(std::string_view text, std::string_view name);

/// The list in a file; "-" is stdin. Errors: Io (it cannot be read), InvalidProblem (it holds no case).
Result<std::vector<ListedCase>> read_case_list(const std::string& path);

}  // namespace baracuda::testing
