#include "baracuda/core/result.h"

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

std::string Error::to_string() const { return std::string(name_of(kind)) + ": " + message; }

}  // namespace baracuda
