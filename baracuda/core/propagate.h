#pragma once

// The two macros that pass an error on. For .cc files only: public headers do not include this.

#define BARACUDA_CONCAT_INNER(a, b) a##b
#define BARACUDA_CONCAT(a, b) BARACUDA_CONCAT_INNER(a, b)

/// Returns the error of a Result from the enclosing function.
#define BARACUDA_RETURN_IF_ERROR(expression)                                \
  do {                                                                      \
    if (auto baracuda_result = (expression); !baracuda_result) [[unlikely]] \
      return std::move(baracuda_result).error();                            \
  } while (false)

/// BARACUDA_ASSIGN_OR_RETURN(auto plan, Plan::select(…)): the value, or return the error.
#define BARACUDA_ASSIGN_OR_RETURN(declaration, expression) \
  BARACUDA_ASSIGN_OR_RETURN_INNER(BARACUDA_CONCAT(baracuda_result_, __LINE__), declaration, expression)

#define BARACUDA_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                            \
  if (!result) [[unlikely]]                                              \
    return std::move(result).error();                                    \
  declaration = *std::move(result)
