#pragma once

#include "baracuda/device/ptx/address.cuh"

// wgmma: a warpgroup (128 threads, from a warp index divisible by 4) multiplies tiles in shared memory, asynchronously.
// PTX ISA 9.0, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions". sm_90a alone.
//
//   wgmma_fence(); wgmma_m64n256k…(d, a, b); …; wgmma_commit_group(); wgmma_wait_group<0>();
//
// d = a · bᵀ + (add ? d : 0) for a tile a of 64 rows, a tile b of n rows, and 32 bytes of k in each row. With
// g = lane_idx / 4 and t = lane_idx % 4 a lane of warp w of the warpgroup holds, for i = 0 … n / 8 − 1,
//
//   d[4i], d[4i + 1]       row 16w + g       columns 8i + 2t, 8i + 2t + 1
//   d[4i + 2], d[4i + 3]   row 16w + g + 8   columns 8i + 2t, 8i + 2t + 1
//
// Between the fence and the wait nothing but wgmma may touch d: else ptxas serialises the instructions, and says so
// with a warning C75xx.

namespace baracuda::ptx {

/// Orders accesses to the registers of accumulators, before the first wgmma and whenever others have touched them.
inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

/// Makes a group of the instructions since the last one.
inline void wgmma_commit_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// Waits until at most kPending of the latest groups are unfinished.
template <int kPending>
inline void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/// Describes a tile in shared memory whose rows are 128 bytes of k, with the 128-byte swizzle: 16-byte piece c of row r
/// lies at piece c ^ (r % 8) of that row, see swizzle_128b. `tile` is a multiple of 1024. "Shared Memory Matrix
/// Layout".
struct WgmmaDescriptor {
  unsigned long long bits;

  static WgmmaDescriptor swizzled_128b(const void* tile) {
    constexpr unsigned long long kSwizzle128b = 1ull << 62;
    constexpr unsigned long long kEightRows = 1024ull >> 4 << 32;  // from 8 rows to the next 8
    constexpr unsigned long long kUnused = 1ull << 16;             // the other stride has no meaning in this layout
    return {kSwizzle128b | kEightRows | kUnused | (shared_address(tile) & 0x3ffff) >> 4};
  }
  /// The tile `bytes` further on: 32 for the next step of k inside the rows, multiples of 1024 for other rows.
  WgmmaDescriptor advanced(unsigned bytes) const { return {bits + (bytes >> 4)}; }
};

/// Where byte `at` (a multiple of 16) of a tile of rows of 128 bytes lies with the 128-byte swizzle.
inline unsigned swizzle_128b(unsigned at) { return at ^ ((at >> 7 & 7) << 4); }

// The n / 2 registers of an accumulator, as operands and as their names in the text.
#define BARACUDA_WGMMA_D4(c, d, i) c(d[i]), c(d[i + 1]), c(d[i + 2]), c(d[i + 3])
#define BARACUDA_WGMMA_D16(c, d, i)                                                           \
  BARACUDA_WGMMA_D4(c, d, i), BARACUDA_WGMMA_D4(c, d, i + 4), BARACUDA_WGMMA_D4(c, d, i + 8), \
      BARACUDA_WGMMA_D4(c, d, i + 12)
#define BARACUDA_WGMMA_D32(c, d, i) BARACUDA_WGMMA_D16(c, d, i), BARACUDA_WGMMA_D16(c, d, i + 16)
#define BARACUDA_WGMMA_D64(c, d, i) BARACUDA_WGMMA_D32(c, d, i), BARACUDA_WGMMA_D32(c, d, i + 32)
#define BARACUDA_WGMMA_D128(c, d, i) BARACUDA_WGMMA_D64(c, d, i), BARACUDA_WGMMA_D64(c, d, i + 64)
#define BARACUDA_WGMMA_D16_TEXT "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define BARACUDA_WGMMA_D32_TEXT \
  BARACUDA_WGMMA_D16_TEXT       \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define BARACUDA_WGMMA_D64_TEXT                                                      \
  BARACUDA_WGMMA_D32_TEXT                                                            \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define BARACUDA_WGMMA_D128_TEXT                                                                 \
  BARACUDA_WGMMA_D64_TEXT                                                                        \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"             \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"             \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

// 8-bit integers, accumulated in s32, which wraps around. The last three are the operands' numbers after the
// accumulator's.
#define BARACUDA_WGMMA_INTEGERS(n, a_kind, b_kind, num_d, a_number, b_number, add_number)                            \
  inline void wgmma_m64n##n##k32_s32_##a_kind##_##b_kind(int(&d)[num_d], WgmmaDescriptor a, WgmmaDescriptor b,       \
                                                         bool add = true) {                                          \
    asm volatile("{ .reg .pred add; setp.ne.u32 add, %" #add_number ", 0; wgmma.mma_async.sync.aligned.m64n" #n      \
                 "k32.s32." #a_kind "." #b_kind " {" BARACUDA_WGMMA_D##num_d##_TEXT "}, %" #a_number ", %" #b_number \
                                                                                    ", add; }"                       \
                 : BARACUDA_WGMMA_D##num_d("+r", d, 0)                                                               \
                 : "l"(a.bits), "l"(b.bits), "r"(static_cast<unsigned>(add)));                                       \
  }
BARACUDA_WGMMA_INTEGERS(32, s8, s8, 16, 16, 17, 18)
BARACUDA_WGMMA_INTEGERS(32, u8, s8, 16, 16, 17, 18)
BARACUDA_WGMMA_INTEGERS(64, s8, s8, 32, 32, 33, 34)
BARACUDA_WGMMA_INTEGERS(64, u8, s8, 32, 32, 33, 34)
BARACUDA_WGMMA_INTEGERS(128, s8, s8, 64, 64, 65, 66)
BARACUDA_WGMMA_INTEGERS(128, u8, s8, 64, 64, 65, 66)
BARACUDA_WGMMA_INTEGERS(256, s8, s8, 128, 128, 129, 130)
BARACUDA_WGMMA_INTEGERS(256, s8, u8, 128, 128, 129, 130)
#undef BARACUDA_WGMMA_INTEGERS

/// 64×256×16, f16 × f16, accumulated in f32; k is contiguous in both.
inline void wgmma_m64n256k16_f32_f16_f16(float (&d)[128], WgmmaDescriptor a, WgmmaDescriptor b, bool add = true) {
  asm volatile(
      "{ .reg .pred add; setp.ne.u32 add, %130, 0; wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 "
      "{" BARACUDA_WGMMA_D128_TEXT "}, %128, %129, add, 1, 1, 0, 0; }"
      : BARACUDA_WGMMA_D128("+f", d, 0)
      : "l"(a.bits), "l"(b.bits), "r"(static_cast<unsigned>(add)));
}

#undef BARACUDA_WGMMA_D4
#undef BARACUDA_WGMMA_D16
#undef BARACUDA_WGMMA_D32
#undef BARACUDA_WGMMA_D64
#undef BARACUDA_WGMMA_D128
#undef BARACUDA_WGMMA_D16_TEXT
#undef BARACUDA_WGMMA_D32_TEXT
#undef BARACUDA_WGMMA_D64_TEXT
#undef BARACUDA_WGMMA_D128_TEXT

}  // namespace baracuda::ptx
