#include "baracuda/capi/last_error.h"

#include <algorithm>
#include <cstring>

namespace {

/// Of fixed size and without a destructor: to copy a string, or to register a destructor, takes memory, of which there
/// may be none when this is wanted. Where the program is linked with the library, its threads come with this block.
/// Where the library was opened at run time (dlopen, Python), a thread gets it with its first error, and libc ends the
/// process if there are not even these 4 KiB; to have it in the block that threads come with (initial-exec) would take
/// room that libc has little of, and the library could fail to open.
struct LastError {
  std::int64_t needed, got, code;
  char message[4096];
};
thread_local LastError last_error;

}  // namespace

namespace baracuda::capi {

baracuda_status keep_last_error(const Error& error) noexcept {
  last_error.needed = error.needed;
  last_error.got = error.got;
  last_error.code = error.code;
  std::size_t length = std::min(error.message.size(), sizeof last_error.message - 1);
  // Not within a character of UTF-8.
  if (length < error.message.size())
    while (length > 0 && (error.message[length] & 0xc0) == 0x80) --length;
  std::memcpy(last_error.message, error.message.data(), length);
  last_error.message[length] = 0;
  return static_cast<baracuda_status>(error.kind);
}

}  // namespace baracuda::capi

const char* baracuda_last_error_message() noexcept { return last_error.message; }
std::int64_t baracuda_last_error_needed() noexcept { return last_error.needed; }
std::int64_t baracuda_last_error_got() noexcept { return last_error.got; }
std::int64_t baracuda_last_error_code() noexcept { return last_error.code; }
