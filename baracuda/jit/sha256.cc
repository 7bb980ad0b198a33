#include "baracuda/jit/sha256.h"

#include <openssl/evp.h>

namespace baracuda::jit {

Result<Sha256> sha256(std::string_view bytes) {
  Sha256 digest;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    return Error::backend(0, "libcrypto computes no SHA-256");
  return digest;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace baracuda::jit
