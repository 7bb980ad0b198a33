#pragma once

// Integers of 8 and 4 bits that quantizers write and read, packed into registers with few instructions.

namespace baracuda {

/// So many bytes of codes, in registers.
template <int kBytes>
struct Codes {
  unsigned word[(kBytes + 3) / 4];
};

template <int kBytes>
inline Codes<kBytes> load_codes(const char* at) {
  Codes<kBytes> vector;
  if constexpr (kBytes == 8) {
    const auto bits = *reinterpret_cast<const unsigned long long*>(at);
    vector.word[0] = static_cast<unsigned>(bits);
    vector.word[1] = static_cast<unsigned>(bits >> 32);
  } else if constexpr (kBytes == 4) {
    vector.word[0] = *reinterpret_cast<const unsigned*>(at);
  } else if constexpr (kBytes == 2) {
    vector.word[0] = *reinterpret_cast<const unsigned short*>(at);
  } else {
    vector.word[0] = *reinterpret_cast<const unsigned char*>(at);
  }
  return vector;
}

template <int kBytes>
inline void store_codes(char* at, const Codes<kBytes>& vector) {
  if constexpr (kBytes == 8) {
    *reinterpret_cast<unsigned long long*>(at) = vector.word[0] | static_cast<unsigned long long>(vector.word[1]) << 32;
  } else if constexpr (kBytes == 4) {
    *reinterpret_cast<unsigned*>(at) = vector.word[0];
  } else if constexpr (kBytes == 2) {
    *reinterpret_cast<unsigned short*>(at) = static_cast<unsigned short>(vector.word[0]);
  } else {
    *reinterpret_cast<unsigned char*>(at) = static_cast<unsigned char>(vector.word[0]);
  }
}

/// The low bytes of four integers.
inline unsigned pack_bytes(int a, int b, int c, int d) {
  const unsigned low = __byte_perm(static_cast<unsigned>(a), static_cast<unsigned>(b), 0x0040);
  const unsigned high = __byte_perm(static_cast<unsigned>(c), static_cast<unsigned>(d), 0x0040);
  return __byte_perm(low, high, 0x5410);
}

/// The low bits of as many integers as a vector has. Of 8, where instructions are scarce, with few.
template <int kQBits, int kElems>
inline Codes<kElems * kQBits / 8> pack_codes(const int (&q)[kElems]) {
  Codes<kElems * kQBits / 8> result{};
  if constexpr (kQBits == 8 && kElems % 4 == 0) {
    for (int i = 0; i < kElems; i += 4) result.word[i / 4] = pack_bytes(q[i], q[i + 1], q[i + 2], q[i + 3]);
  } else if constexpr (kQBits == 4 && kElems == 8) {
    const unsigned even = pack_bytes(q[0], q[2], q[4], q[6]), odd = pack_bytes(q[1], q[3], q[5], q[7]);
    result.word[0] = (even & 0x0f0f0f0fu) | (odd << 4 & 0xf0f0f0f0u);
  } else {
    constexpr unsigned kMask = (1u << kQBits) - 1;
    for (int i = 0; i < kElems; ++i) result.word[0] |= (static_cast<unsigned>(q[i]) & kMask) << (kQBits * i);
  }
  return result;
}

}  // namespace baracuda
