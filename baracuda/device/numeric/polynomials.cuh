// The minimax polynomials of this folder. tools/fit/polynomials.py wrote it: change that, not this.

#if defined(BARACUDA_DEVICE_NUMERIC_POLYNOMIALS) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_POLYNOMIALS
#undef BARACUDA_DEVICE_NUMERIC_POLYNOMIALS
#else
#define BARACUDA_DEVICE_NUMERIC_POLYNOMIALS
#endif

#include "baracuda/device/numeric/lanes.cuh"

// clang-format off
BARACUDA_NUMERIC_BEGIN

/// (e^r − 1 − r) / r², |r| ≤ ln 2 / 2; error relative to e^r − 1:
/// f32 2^-30.92, f64 2^-61.36.
template <class V>
V expm1_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1p-1, 0x1.5555555555559p-3, 0x1.5555555555557p-5, 0x1.111111110f5bdp-7, 0x1.6c16c16c15665p-10,
                  0x1.a01a01b06d2e1p-13, 0x1.a01a01abb89bp-16, 0x1.71ddf6a80e65p-19, 0x1.27e4cf58ab33ep-22,
                  0x1.af622868d6fbbp-26, 0x1.1f878c63c404fp-29);
  } else {
    return horner(x, 0x1p-1f, 0x1.555556p-3f, 0x1.5554f2p-5f, 0x1.110ff2p-7f, 0x1.6d4288p-10f, 0x1.a26b6ep-13f);
  }
}

/// (2^r − 1) / r, |r| ≤ 1/2; error relative to 2^r:
/// f32 2^-32.4, f64 2^-59.85.
template <class V>
V exp2_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.62e42fefa39efp-1, 0x1.ebfbdff82c58fp-3, 0x1.c6b08d704a22fp-5, 0x1.3b2ab6fba4d5cp-7,
                  0x1.5d87fe784ccep-10, 0x1.430912f8b8a03p-13, 0x1.ffcbfeb020d79p-17, 0x1.62c0211b7b959p-20,
                  0x1.b51d9ee08d5c9p-24, 0x1.e4d31a53c3a38p-28, 0x1.004c56eff6226p-31, 0x1.bf5a884346666p-36,
                  -0x1.b1d8e1862e2a5p-36);
  } else {
    return horner(x, 0x1.62e43p-1f, 0x1.ebfbep-3f, 0x1.c6b074p-5f, 0x1.3b2a58p-7f, 0x1.5d9c88p-10f, 0x1.4413cep-13f,
                  0x1.ecfeeap-17f);
  }
}

/// (log(1 + f) − f + f²/2) / f³, √½ ≤ 1 + f ≤ √2; error relative to log(1 + f):
/// f32 2^-30.18, f64 2^-59.19.
template <class V>
V log1p_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.555555555556ep-2, -0x1.ffffffffffef3p-3, 0x1.9999999994593p-3, -0x1.5555555563607p-3,
                  0x1.2492492794287p-3, -0x1.fffffff9b154dp-4, 0x1.c71c7019f3882p-4, -0x1.9999996aed658p-4,
                  0x1.745d5a6454954p-4, -0x1.55559a3d3995bp-4, 0x1.3b0d797de403fp-4, -0x1.2486e39dbcfd6p-4,
                  0x1.11679f11f7ae8p-4, -0x1.00e793b4be466p-4, 0x1.dceea3859e6e2p-5, -0x1.b373c60ef46fbp-5,
                  0x1.b91436b134544p-5, -0x1.017b24e92d0fap-4, 0x1.da3a4fa64128bp-5, -0x1.99550b23a6911p-6);
  } else {
    return horner(x, 0x1.555546p-2f, -0x1.ffffeep-3f, 0x1.99a544p-3f, -0x1.5562e4p-3f, 0x1.2332c6p-3f, -0x1.fb42dap-4f,
                  0x1.e65104p-4f, -0x1.e2ee0cp-4f, 0x1.1b46e2p-4f);
  }
}

/// (log(1 + y) − y) / y², 0 ≤ y ≤ 1; error relative to log(1 + y):
/// f32 2^-27.22, f64 2^-56.7.
template <class V>
V log1p_of_fraction_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, -0x1.fffffffffffefp-2, 0x1.55555555547f2p-2, -0x1.ffffffff8939fp-3, 0x1.99999988bbdbap-3,
                  -0x1.555553e241bfap-3, 0x1.249233e92a96ap-3, -0x1.fffe47a6faa03p-4, 0x1.c70f44a205579p-4,
                  -0x1.994cb50a499cfp-4, 0x1.72ff3e2283b07p-4, -0x1.5065da69b4bbbp-4, 0x1.2cb8de468366fp-4,
                  -0x1.0286eb63b841p-4, 0x1.9ce2aa549062fp-5, -0x1.25ffc67243a53p-5, 0x1.65768016ff11cp-6,
                  -0x1.625aa71071519p-7, 0x1.0f7ebedf5fd9ep-8, -0x1.2afe07b9f6b86p-10, 0x1.a2a7c140f5c6ep-13,
                  -0x1.16c494dc66a03p-16);
  } else {
    return horner(x, -0x1.ffffd2p-2f, 0x1.554dd4p-2f, -0x1.ff249ep-3f, 0x1.9350cap-3f, -0x1.3a5782p-3f, 0x1.b4ffb2p-4f,
                  -0x1.d76abep-5f, 0x1.49f7ccp-6f, -0x1.b10464p-9f);
  }
}

/// (2 artanh(s) / s − 2 − 2z/3) / z² of z = s², |s| ≤ (√2 − 1) / (√2 + 1); error relative to
/// artanh(s):
/// f32 2^-41.93, f64 2^-71.93.
template <class V>
V atanh_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.999999999999ap-2, 0x1.24924924921a1p-2, 0x1.c71c71c7b62d4p-3, 0x1.745d16d6bc3f1p-3,
                  0x1.3b13dc72ff0f1p-3, 0x1.1107569fb9ab5p-3, 0x1.e46e0a66d8b85p-4, 0x1.80987bf4c474p-4,
                  0x1.7dd3ad3490b3dp-3);
  } else {
    return horner(x, 0x1.999998p-2f, 0x1.2493cp-2f, 0x1.c6371p-3f, 0x1.910c2ap-3f);
  }
}

/// (sin(r) − r) / r³ of z = r², |r| ≤ π/4; error relative to sin(r):
/// f32 2^-32.32, f64 2^-62.7.
template <class V>
V sin_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, -0x1.5555555555555p-3, 0x1.111111111106p-7, -0x1.a01a019ffca5cp-13, 0x1.71de3a320a257p-19,
                  -0x1.ae642b3f5999bp-26, 0x1.6109bfb37fb72p-33, -0x1.a053fc5808ef8p-41);
  } else {
    return horner(x, -0x1.555556p-3f, 0x1.111172p-7f, -0x1.a055a6p-13f, 0x1.7adbdp-19f);
  }
}

/// (cos(r) − 1 + z/2) / z² of z = r², |r| ≤ π/4; error absolute:
/// f32 2^-32.75, f64 2^-68.55.
template <class V>
V cos_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.5555555555555p-5, -0x1.6c16c16c16b2bp-10, 0x1.a01a019ffc1cdp-16, -0x1.27e4fb59e7d41p-22,
                  0x1.1eed6fe345db4p-29, -0x1.9375879c1a69ep-37, 0x1.9e90cd8f81d19p-45);
  } else {
    return horner(x, 0x1.55554ap-5f, -0x1.6c0bf6p-10f, 0x1.99cfc4p-16f);
  }
}

/// (arcsin(x) − x) / x³ of z = x², |x| ≤ 1/2; error relative to arcsin(x):
/// f32 2^-31.42, f64 2^-59.51.
template <class V>
V asin_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.555555555555ep-3, 0x1.3333333330e03p-4, 0x1.6db6db703e777p-5, 0x1.f1c71b3249f51p-6,
                  0x1.6e8bcf15293c9p-6, 0x1.1c4af641f884fp-6, 0x1.ca08b27039a07p-7, 0x1.763519bb3e5b9p-7,
                  0x1.5d9b01f9b54dap-7, 0x1.0d06d10161b22p-8, 0x1.547fdaf1d5f8bp-6, -0x1.4383c179b3a88p-6,
                  0x1.05203e37953d5p-5);
  } else {
    return horner(x, 0x1.55554ep-3f, 0x1.3337ecp-4f, 0x1.6cc0a8p-5f, 0x1.0410dep-5f, 0x1.dfe72ap-7f, 0x1.312cp-5f);
  }
}

/// (arctan(t) − t) / t³ of z = t², |t| ≤ tan(π/8); error relative to arctan(t):
/// f32 2^-33.06, f64 2^-63.23.
template <class V>
V atan_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, -0x1.5555555555555p-2, 0x1.99999999997a7p-3, -0x1.249249247c462p-3, 0x1.c71c71b9239c6p-4,
                  -0x1.745d14cc8ee01p-4, 0x1.3b136bab1c7fep-4, -0x1.110c0aa00ad2p-4, 0x1.e163d75476296p-5,
                  -0x1.aaec97cc2bdc2p-5, 0x1.6d4c8f58aa008p-5, -0x1.03dcbbc5a6662p-5, 0x1.71485c36dc3bep-7,
                  0x1.f3f3b121d3042p-9);
  } else {
    return horner(x, -0x1.555554p-2f, 0x1.999874p-3f, -0x1.246b3p-3f, 0x1.c26f5cp-4f, -0x1.502908p-4f, 0x1.570838p-5f);
  }
}

/// (sinh(x) − x) / x³ of z = x², |x| ≤ 1; error relative to sinh(x):
/// f32 2^-31.47, f64 2^-62.53.
template <class V>
V sinh_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.5555555555555p-3, 0x1.11111111111a4p-7, 0x1.a01a01a005622p-13, 0x1.71de3a6b0c5b8p-19,
                  0x1.ae643e6e4c59bp-26, 0x1.613309439c183p-33, 0x1.a543ef2944e5fp-41, 0x1.f861c7e3fb887p-48);
  } else {
    return horner(x, 0x1.555556p-3f, 0x1.1110e2p-7f, 0x1.a0214ap-13f, 0x1.75aa26p-19f);
  }
}

/// (tanh(x) − x) / x³ of z = x², |x| ≤ 0.55; error relative to tanh(x):
/// f32 2^-33.05, f64 2^-63.23.
template <class V>
V tanh_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, -0x1.5555555555555p-2, 0x1.111111111104cp-3, -0x1.ba1ba1ba0b742p-5, 0x1.664f487dc80b4p-6,
                  -0x1.226e34807a216p-7, 0x1.d6d3a07dce309p-9, -0x1.7d9fe969de59fp-10, 0x1.352cac088892p-11,
                  -0x1.f295f54857167p-13, 0x1.85a0698f38e6bp-14, -0x1.08ccd695764b3p-15, 0x1.be8d3bb9ceaap-18);
  } else {
    return horner(x, -0x1.555556p-2f, 0x1.11113ep-3f, -0x1.ba2056p-5f, 0x1.660b9ap-6f, -0x1.1a8dfep-7f, 0x1.584abp-9f);
  }
}

/// erf(x) / x − 1 of z = x², |x| ≤ 1; error absolute:
/// f32 2^-29.79, f64 2^-56.16.
template <class V>
V erf_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.06eba8214db69p-3, -0x1.812746b037a3ap-2, 0x1.ce2f21a047d62p-4, -0x1.b82ce31486fbap-6,
                  0x1.565bcd776160cp-8, -0x1.c02dcdf939ef1p-11, 0x1.f9a75362894d1p-14, -0x1.f5471070dae1bp-17,
                  0x1.c2cb28cf0411ep-20, -0x1.d9b64a7dae0b3p-23, 0x1.669a81567b912p-24, -0x1.f390824319144p-25,
                  0x1.09eb8d869e98ep-25, -0x1.52d6d4276f0ebp-27, 0x1.82592da94c64fp-30);
  } else {
    return horner(x, 0x1.06eba8p-3f, -0x1.81274p-2f, 0x1.ce2d6cp-4f, -0x1.b802eap-6f, 0x1.546d28p-8f, -0x1.a85ff2p-11f,
                  0x1.618342p-14f, -0x1.a111c4p-20f);
  }
}

/// −log(erfc(x)), 1 ≤ x ≤ 4 (f32) or 6 (f64); error of erfc(x), absolute:
/// f32 2^-32.15, f64 2^-61.3.
template <class V>
V minus_log_erfc(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.a3b937c22c089p-26, 0x1.20dd715eedb48p+0, 0x1.45f321b98a4b3p-1, 0x1.a4f38209a3335p-4,
                  -0x1.3968e878f53c2p-6, -0x1.a52cc8e7e5f42p-13, 0x1.b6a1f28198c5p-10, -0x1.20c62045c6917p-11,
                  -0x1.846a78cc7aff6p-16, 0x1.d378a407e47bdp-14, -0x1.10f51b14c9becp-14, 0x1.9962926bffaf1p-16,
                  -0x1.c9c442bf0e31p-18, 0x1.8cf44b2f3c151p-20, -0x1.0c4db1a006007p-22, 0x1.16bf19f2d1af5p-25,
                  -0x1.af021b20506fep-29, 0x1.d396550117ac1p-33, -0x1.3da5397a114d8p-37, 0x1.969ba8a586a05p-43);
  } else {
    return horner(x, -0x1.8bf4ecp-13f, 0x1.212c44p+0f, 0x1.4434a2p-1f, 0x1.bc1b1p-4f, -0x1.9d10a4p-6f, 0x1.139eeep-8f,
                  -0x1.cefabap-12f, 0x1.6c17bep-16f);
  }
}

/// (1 + 2x) e^(x²) erfc(x) − 5/4 of t = (x − k) / (x + k), k = 2 (f32) or 4 (f64), from x = 0.49 to
/// where erfc is 0; error absolute:
/// f32 2^-27.37, f64 2^-57.38.
template <class V>
V erfcx_tail(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, -0x1.169ba4580a04dp-6, -0x1.1df1ad154a28ep-3, 0x1.f7f5df66fd5e1p-7, 0x1.16ecefcfa5362p-4,
                  -0x1.9ddb23c3e7ee9p-4, 0x1.7fee004e12d51p-4, -0x1.0fb06dfe692eep-4, 0x1.3079edf66b447p-5,
                  -0x1.0962387df0b88p-6, 0x1.49c672907a296p-8, -0x1.8d4aa14407e4cp-11, -0x1.a1df30b2324b9p-13,
                  0x1.3be0d3d213616p-13, -0x1.99574ff15a3f2p-16, -0x1.78a369b939286p-17, 0x1.7f0cd06245ef2p-18,
                  0x1.4198c9e26460bp-22, -0x1.b915cab60fb82p-21, 0x1.20074590475a9p-24, 0x1.c2de38a226e32p-24,
                  -0x1.a476f5918eb71p-27, -0x1.6082a582fc955p-27);
  } else {
    return horner(x, 0x1.ba038cp-6f, -0x1.7bf5dcp-4f, -0x1.5407fap-3f, 0x1.4ff8d8p-3f, -0x1.bc1888p-5f,
                  -0x1.065ebap-7f, 0x1.1bae16p-7f, 0x1.2dd77cp-10f, -0x1.4aee6ap-10f, -0x1.e6f192p-13f);
  }
}

/// (a + k) e^(a²/2) Φ(−a) − 5/8 of t = (a − k) / (a + k), k = 1.5 (f32) or 2 (f64), from a = 0
/// to where a · Φ(−a) is 0; error absolute:
/// f32 2^-27.72, f64 2^-57.38.
template <class V>
V normal_tail_ratio(V x) {
  if constexpr (kIsF64<V>) {
    return horner(x, 0x1.845dcad2a54e7p-5, -0x1.535bafa73c584p-2, 0x1.d7d0e2393ed09p-6, 0x1.2ccbfbf0c64e3p-5,
                  -0x1.ec6870bc35d4ap-12, -0x1.b8b937f7bb2e9p-8, -0x1.ff79b9d8c246bp-10, 0x1.9ba0c62d65ea9p-11,
                  0x1.b1b0c32114754p-11, 0x1.b217e346b87ecp-13, -0x1.e53fe97cdef66p-14, -0x1.0d981c9c83522p-13,
                  -0x1.825dc043aa4a7p-15, 0x1.44f3411e6698ap-17, 0x1.6c74a102fc154p-16, 0x1.a58e58d044a4dp-17,
                  0x1.080fe0894813p-19, -0x1.7d17b6fdff682p-19, -0x1.7c07892ad888fp-19, -0x1.70ad7babd471cp-20,
                  -0x1.862e12fbfb995p-22, 0x1.4e6304ef506b2p-22, 0x1.82fc4281da10bp-21, 0x1.cf29e3b87ca99p-22,
                  -0x1.30bf5ef982ec6p-23, -0x1.0b37916027217p-22, -0x1.6648e663e279ep-25, 0x1.6d34d847ae699p-25,
                  0x1.010099af0d9e9p-26);
  } else {
    return horner(x, -0x1.f5dfdep-8f, -0x1.8f905p-3f, -0x1.d7012cp-5f, 0x1.2536fep-6f, 0x1.210dfp-6f, 0x1.056c64p-8f,
                  -0x1.400638p-9f, -0x1.63a81p-9f, -0x1.0e416p-10f, 0x1.0b8678p-12f, 0x1.e254d4p-12f, 0x1.37b666p-13f);
  }
}

/// 2^r, |r| ≤ 1/2; error relative:
/// f32 2^-18.48.
template <class V>
V exp2_narrow(V x) {
  return horner(x, 0x1.ffffe6p-1f, 0x1.62e0bcp-1f, 0x1.ec0746p-3f, 0x1.ca252ep-5f, 0x1.398fd6p-7f);
}

/// log2(Φ(−a)), 0 ≤ a ≤ 13.9; error relative to Φ(−a), divided by 8 where f16 has no
/// bit of a · Φ(−a) left, and by less where it has a few:
/// f32 2^-16.39.
template <class V>
V log2_normal_tail_narrow(V x) {
  return horner(x, -0x1.000054p+0f, -0x1.26b84ep+0f, -0x1.d54746p-2f, -0x1.bd1cb4p-5f, 0x1.2083fep-7f,
                -0x1.12d918p-10f, 0x1.6c099ap-14f, -0x1.3949fcp-18f, 0x1.388752p-23f, -0x1.10e7eap-29f);
}

/// tanh(x) / x of z = x², |x| ≤ 6.3, as kReciprocalScale · numerator / denominator; error relative:
/// f32 2^-21.04.
template <class V>
V tanh_numerator_narrow(V x) {
  return horner(x, 0x1.5a1cd8p+1f, 0x1.578892p-2f, 0x1.a441f4p-8f, 0x1.8e8932p-17f);
}
template <class V>
V tanh_denominator_narrow(V x) {
  return horner(x, 0x1p+0f, 0x1.d4603p-2f, 0x1.60682cp-6f, 0x1.406372p-13f);
}

BARACUDA_NUMERIC_END
// clang-format on

#endif
