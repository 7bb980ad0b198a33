#pragma once

// mma.sync: a warp multiplies fragments that its lanes hold in registers. PTX ISA 9.0, "Warp Level Matrix
// Multiply-Accumulate Instructions", "Matrix Fragments for mma.m16n8k16 / .m16n8k32". From sm_80 on.
//
// d += a · bᵀ for a tile a of 16 rows, a tile b of 8 rows, and 32 bytes of k in each row. With g = lane_idx / 4 and
// t = lane_idx % 4 a lane holds, whatever the elements are,
//
//   a[0], a[1]   row g, row g + 8   bytes 4t … 4t + 3           b[0]   row g   bytes 4t … 4t + 3
//   a[2], a[3]   row g, row g + 8   bytes 16 + 4t … 19 + 4t     b[1]   row g   bytes 16 + 4t … 19 + 4t
//   d[0], d[1]   row g              columns 2t, 2t + 1
//   d[2], d[3]   row g + 8          columns 2t, 2t + 1

namespace baracuda::ptx {

/// 16×8×32, s8 × s8, accumulated in s32, which wraps around.
inline void mma_m16n8k32_s32_s8_s8(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// 16×8×32, s8 × u8, accumulated in s32, which wraps around.
inline void mma_m16n8k32_s32_s8_u8(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// 16×8×16, f16 × f16, accumulated in f32.
inline void mma_m16n8k16_f32_f16_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace baracuda::ptx
