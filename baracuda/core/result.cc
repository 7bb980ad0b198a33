#include "baracuda/core/result.h"

#include <cerrno>
#include <exception>
#include <new>

namespace baracuda {

std::string_view name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::InvalidProblem: return "InvalidProblem";
    case ErrorKind::Unsupported: return "Unsupported";
    case ErrorKind::MisalignedOperand: return "MisalignedOperand";
    case ErrorKind::BufferTooSmall: return "BufferTooSmall";
    case ErrorKind::WorkspaceTooSmall: return "WorkspaceTooSmall";
    case ErrorKind::Backend: return "Backend";
    case ErrorKind::MalformedFile: return "MalformedFile";
    case ErrorKind::Io: return "Io";
  }
  return "invalid";
}

namespace internal {

Error thrown_error(std::string_view where) noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return Error::backend(ENOMEM, std::string(where) + ": the host is out of memory; free some and call again");
    } catch (const std::exception& thrown) {
      return Error::backend(0, std::string(where) + ": " + thrown.what());
    } catch (...) {
      return Error::backend(0, std::string(where) + ": an exception that is no std::exception");
    }
  } catch (...) {
    // So short that the string holds it in itself.
    return Error::backend(ENOMEM, "no host memory");
  }
}

}  // namespace internal

std::string Error::to_string() const { return std::string(name_of(kind)) + ": " + message; }

}  // namespace baracuda
