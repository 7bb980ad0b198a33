#!/usr/bin/env python3
"""Writes baracuda/device/numeric/polynomials.cuh: minimax polynomials for f32 and f64.

    python3 tools/fit/polynomials.py > baracuda/device/numeric/polynomials.cuh        # half a minute; needs mpmath

A coefficient is rounded before those of higher degree are fitted, so that they make up for its rounding. The error
in a comment is that of the rounded coefficients, weighted as the row says, on a grid of its own.
"""

import sys

from mpmath import mp, mpf

mp.dps = 90
one = mpf(1)


def round_to(value, bits):
    """To nearest, with `bits` significant bits."""
    if value == 0:
        return value
    exponent = mp.frexp(value)[1] - bits
    return mp.nint(mp.ldexp(value, -exponent)) * mp.mpf(2) ** exponent


def chebyshev_grid(lo, hi, count):
    return [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * (i + mpf(1) / 2) / count) for i in range(count)]


def evaluate(coefficients, x):
    return mp.polyval(coefficients[::-1], x)


def minimax(grid, values, weights, count):
    """Coefficients of x^0 … x^(count − 1) that nearly minimize max |weight · (polynomial − value)| on the grid: least
    squares, reweighted by the errors (Lawson 1961). Unlike an exchange of extrema it never cycles."""
    powers = [[x ** j for j in range(2 * count - 1)] for x in grid]
    shares = [one / len(grid)] * len(grid)
    best, least = None, mp.inf
    for _ in range(12):
        masses = [s * w * w for s, w in zip(shares, weights)]
        moments = [mp.fsum(m * p[j] for m, p in zip(masses, powers)) for j in range(2 * count - 1)]
        right = [mp.fsum(m * v * p[j] for m, v, p in zip(masses, values, powers)) for j in range(count)]
        solved = mp.lu_solve(mp.matrix([moments[j:j + count] for j in range(count)]), mp.matrix(right))
        coefficients = list(solved)
        errors = [abs(w * (evaluate(coefficients, x) - v)) for x, v, w in zip(grid, values, weights)]
        if max(errors) < least:
            best, least = coefficients, max(errors)
        shares = [s * e for s, e in zip(shares, errors)]
        total = mp.fsum(shares)
        shares = [s / total for s in shares]
    return best


def fit(function, weight, lo, hi, degree, bits):
    lo, hi = mpf(lo), mpf(hi)
    grid = chebyshev_grid(lo, hi, 10 * (degree + 2))
    values, weights = [function(x) for x in grid], [abs(weight(x)) for x in grid]
    rounded = []
    for first in range(min(4, degree + 1)):  # the rounding of the others is far below the error
        fitted = minimax(grid, values, weights, degree + 1 - first)
        rounded.append(round_to(fitted[0], bits))
        # What is left has the factor x. The grid's count is even, so that no x is 0.
        values = [(v - rounded[-1]) / x for v, x in zip(values, grid)]
        weights = [w * abs(x) for w, x in zip(weights, grid)]
    rounded += [round_to(c, bits) for c in fitted[1:]]
    check = chebyshev_grid(lo, hi, 311)
    return rounded, max(abs(weight(x) * (evaluate(rounded, x) - function(x))) for x in check)


def fit_ratio(function, lo, hi, degree):
    """P and Q of that degree, Q with 1 as its first coefficient, of the least error of P / Q relative to it, by
    the same method: of P − function · Q, over the last round's Q. Rounded to f32, where all coefficients are positive,
    so that their rounding counts no more than one of the result does."""
    lo, hi = mpf(lo), mpf(hi)
    grid = chebyshev_grid(lo, hi, 20 * (degree + 1))
    values = [function(x) for x in grid]
    rows = [[x ** j for j in range(degree + 1)] + [-v * x ** j for j in range(1, degree + 1)]
            for x, v in zip(grid, values)]
    shares, scales = [one / len(grid)] * len(grid), [one] * len(grid)
    best, least = None, mp.inf
    for _ in range(25):
        masses = [s / (v * q) ** 2 for s, v, q in zip(shares, values, scales)]
        size = 2 * degree + 1
        moments = [[mp.fsum(m * r[i] * r[j] for m, r in zip(masses, rows)) for j in range(size)] for i in range(size)]
        right = [mp.fsum(m * v * r[i] for m, v, r in zip(masses, values, rows)) for i in range(size)]
        solved = list(mp.lu_solve(mp.matrix(moments), mp.matrix(right)))
        ratio = [round_to(c, 24) for c in solved[:degree + 1]], [one] + [round_to(c, 24) for c in solved[degree + 1:]]
        scales = [evaluate(ratio[1], x) for x in grid]
        errors = [abs(evaluate(ratio[0], x) / q / v - 1) for x, v, q in zip(grid, values, scales)]
        if max(errors) < least:
            best, least = ratio, max(errors)
        shares = [s * e for s, e in zip(shares, errors)]
        total = mp.fsum(shares)
        shares = [s / total for s in shares]
    return best, least


def series(direct, terms, near):
    """direct(x), or near 0, where that cancels, the sum of its Taylor terms."""
    return lambda x: direct(x) if abs(x) > near else mp.fsum(terms(k, x) for k in range(60))


def sqrt_argument(direct, terms):
    """Of a function of z = x², given by x."""
    return series(lambda z: direct(mp.sqrt(z)), terms, mpf("1e-6"))


def normal_tail(a):
    """Φ(−a)."""
    return mp.erfc(a / mp.sqrt(2)) / 2


kErfcxMiddle = {24: mpf(2), 53: mpf(4)}
kNormalMiddle = {24: mpf("1.5"), 53: mpf(2)}


def erfcx_tail(bits):
    """(1 + 2x) e^(x²) erfc(x) − 5/4 of t = (x − k) / (x + k)."""
    k = kErfcxMiddle[bits]

    def value(t):
        x = k * (1 + t) / (1 - t)
        return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x) - mpf(5) / 4
    return value


def normal_tail_ratio(bits):
    """(a + k) e^(a²/2) Φ(−a) − 5/8 of t = (a − k) / (a + k)."""
    k = kNormalMiddle[bits]

    def value(t):
        a = k * (1 + t) / (1 - t)
        return (a + k) * mp.exp(a * a / 2) * normal_tail(a) - mpf(5) / 8
    return value


def middle_range(middle, least, largest):
    """From x to (x − k) / (x + k)."""
    return [(x - middle) / (x + middle) for x in (mpf(least), mpf(largest))]


half_ln2 = mp.log(2) / 2 * mpf("1.01")
quarter_pi = (mp.pi / 4 + mpf("0.02")) ** 2
atan_range = mpf("0.4143") ** 2

# name, what it is, function, weight, range f32, range f64, degree f32, degree f64
ROWS = [
    ("expm1_tail", "(e^r − 1 − r) / r², |r| ≤ ln 2 / 2; error relative to e^r − 1",
     series(lambda r: (mp.exp(r) - 1 - r) / r ** 2, lambda k, r: r ** k / mp.factorial(k + 2), mpf("1e-3")),
     lambda r: abs(r) + mpf("0.02"), (-half_ln2, half_ln2), (-half_ln2, half_ln2), 5, 10),
    ("exp2_tail", "(2^r − 1) / r, |r| ≤ 1/2; error relative to 2^r",
     series(lambda r: (mp.mpf(2) ** r - 1) / r,
            lambda k, r: mp.log(2) ** (k + 1) * r ** k / mp.factorial(k + 1), mpf("1e-3")),
     lambda r: abs(r) + mpf("0.002"), ("-0.505", "0.505"), ("-0.505", "0.505"), 6, 12),
    ("log1p_tail", "(log(1 + f) − f + f²/2) / f³, √½ ≤ 1 + f ≤ √2; error relative to log(1 + f)",
     series(lambda f: (mp.log1p(f) - f + f * f / 2) / f ** 3, lambda k, f: (-f) ** k / (k + 3), mpf("0.02")),
     lambda f: f * f + mpf("1e-4"), ("-0.2930", "0.4143"), ("-0.2930", "0.4143"), 8, 19),
    ("log1p_of_fraction_tail", "(log(1 + y) − y) / y², 0 ≤ y ≤ 1; error relative to log(1 + y)",
     series(lambda y: (mp.log1p(y) - y) / y ** 2, lambda k, y: -(-y) ** k / (k + 2), mpf("0.02")),
     lambda y: y * y / mp.log1p(y) + mpf("1e-4"), (0, 1), (0, 1), 8, 20),
    ("atanh_tail", "(2 artanh(s) / s − 2 − 2z/3) / z² of z = s², |s| ≤ (√2 − 1) / (√2 + 1); error relative to\n"
     "/// artanh(s)",
     sqrt_argument(lambda s: (2 * mp.atanh(s) / s - 2 - 2 * s * s / 3) / s ** 4, lambda k, z: 2 * z ** k / (2 * k + 5)),
     lambda z: z * z + mpf("1e-5"), (0, "0.0296"), (0, "0.0296"), 3, 8),
    ("sin_tail", "(sin(r) − r) / r³ of z = r², |r| ≤ π/4; error relative to sin(r)",
     sqrt_argument(lambda r: (mp.sin(r) - r) / r ** 3, lambda k, z: -(-z) ** k / mp.factorial(2 * k + 3)),
     lambda z: z + mpf("0.01"), (0, quarter_pi), (0, quarter_pi), 3, 6),
    ("cos_tail", "(cos(r) − 1 + z/2) / z² of z = r², |r| ≤ π/4; error absolute",
     sqrt_argument(lambda r: (mp.cos(r) - 1 + r * r / 2) / r ** 4, lambda k, z: (-z) ** k / mp.factorial(2 * k + 4)),
     lambda z: z * z + mpf("0.001"), (0, quarter_pi), (0, quarter_pi), 2, 6),
    ("asin_tail", "(arcsin(x) − x) / x³ of z = x², |x| ≤ 1/2; error relative to arcsin(x)",
     sqrt_argument(lambda x: (mp.asin(x) - x) / x ** 3,
                   lambda k, z: mp.binomial(2 * k + 2, k + 1) / mpf(4) ** (k + 1) / (2 * k + 3) * z ** k),
     lambda z: z + mpf("0.005"), (0, "0.25"), (0, "0.25"), 5, 12),
    ("atan_tail", "(arctan(t) − t) / t³ of z = t², |t| ≤ tan(π/8); error relative to arctan(t)",
     sqrt_argument(lambda t: (mp.atan(t) - t) / t ** 3, lambda k, z: -(-z) ** k / (2 * k + 3)),
     lambda z: z + mpf("0.005"), (0, atan_range), (0, atan_range), 5, 12),
    ("sinh_tail", "(sinh(x) − x) / x³ of z = x², |x| ≤ 1; error relative to sinh(x)",
     sqrt_argument(lambda x: (mp.sinh(x) - x) / x ** 3, lambda k, z: z ** k / mp.factorial(2 * k + 3)),
     lambda z: z + mpf("0.01"), (0, 1), (0, 1), 3, 7),
    ("tanh_tail", "(tanh(x) − x) / x³ of z = x², |x| ≤ 0.55; error relative to tanh(x)",
     sqrt_argument(lambda x: (mp.tanh(x) - x) / x ** 3,
                   lambda k, z: mpf(4) ** (k + 2) * (mpf(4) ** (k + 2) - 1) * mp.bernoulli(2 * k + 4)
                   / mp.factorial(2 * k + 4) * z ** k),
     lambda z: z + mpf("0.005"), (0, "0.3025"), (0, "0.3025"), 5, 11),
    ("erf_tail", "erf(x) / x − 1 of z = x², |x| ≤ 1; error absolute",
     sqrt_argument(lambda x: mp.erf(x) / x - 1,
                   lambda k, z: 2 / mp.sqrt(mp.pi) * (-z) ** k / mp.factorial(k) / (2 * k + 1) - (1 if k == 0 else 0)),
     lambda z: one, (0, 1), (0, 1), 7, 14),
    ("minus_log_erfc", "−log(erfc(x)), 1 ≤ x ≤ 4 (f32) or 6 (f64); error of erfc(x), absolute",
     lambda x: -mp.log(mp.erfc(x)), mp.erfc, ("0.99", "4"), ("0.99", "6"), 7, 19),
    ("erfcx_tail", "(1 + 2x) e^(x²) erfc(x) − 5/4 of t = (x − k) / (x + k), k = 2 (f32) or 4 (f64), from x = 0.49 to\n"
     "/// where erfc is 0; error absolute",
     erfcx_tail, lambda t: one, middle_range(kErfcxMiddle[24], "0.49", "10.2"),
     middle_range(kErfcxMiddle[53], "0.49", "27.4"), 9, 21),
    ("normal_tail_ratio", "(a + k) e^(a²/2) Φ(−a) − 5/8 of t = (a − k) / (a + k), k = 1.5 (f32) or 2 (f64), from a = 0\n"
     "/// to where a · Φ(−a) is 0; error absolute",
     normal_tail_ratio, lambda t: one, middle_range(kNormalMiddle[24], 0, "14.4"),
     middle_range(kNormalMiddle[53], 0, "38.8"), 11, 28),
]


def narrow_weight(a):
    """Of an error relative to Φ(−a): 1 where a f16 holds a · Φ(−a) to 11 bits, less where its subnormal numbers do and
    where bf16's 8 bits alone are left."""
    return max(one / 8, min(one, a * normal_tail(a) * 2 ** 13))


# For results of 16 and 8 bits, in f32 alone. Name, what it is, function, weight, range, degree.
NARROW_ROWS = [
    ("exp2_narrow", "2^r, |r| ≤ 1/2; error relative",
     lambda r: mpf(2) ** r, lambda r: mpf(2) ** -r, ("-0.505", "0.505"), 4),
    ("log2_normal_tail_narrow", "log2(Φ(−a)), 0 ≤ a ≤ 13.9; error relative to Φ(−a), divided by 8 where f16 has no\n"
     "/// bit of a · Φ(−a) left, and by less where it has a few",
     lambda a: mp.log(normal_tail(a), 2), lambda a: narrow_weight(a) * mp.log(2), (0, "13.9"), 9),
]


def literal(value, bits):
    """Hexadecimal, exact."""
    if value == 0:
        return "0"
    text = float(value).hex()
    mantissa, exponent = text.split("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}" + ("f" if bits == 24 else "")


def call(indent, name, arguments):
    """name(arguments); in lines of 120 columns."""
    lines, line = [], f"{indent}{name}({arguments[0]}"
    for argument in arguments[1:]:
        if len(f"{line}, {argument});") > 120:
            lines.append(line + ",")
            line = " " * len(f"{indent}{name}(") + argument
        else:
            line += f", {argument}"
    return "\n".join([*lines, f"{line});"])


def print_narrow(name, what, error, polynomials):
    log2 = mp.nstr(mp.log(error, 2), 4)
    print(name, 24, log2, file=sys.stderr)
    print(f"\n/// {what}:\n/// f32 2^{log2}.")
    for function, coefficients in polynomials.items():
        print(f"template <class V>\nV {function}(V x) {{")
        print(call("  ", "return horner", ["x", *(literal(c, 24) for c in coefficients)]))
        print("}")


def main():
    print("""// The minimax polynomials of this folder. tools/fit/polynomials.py wrote it: change that, not this.

#if defined(BARACUDA_DEVICE_NUMERIC_POLYNOMIALS) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_POLYNOMIALS
#undef BARACUDA_DEVICE_NUMERIC_POLYNOMIALS
#else
#define BARACUDA_DEVICE_NUMERIC_POLYNOMIALS
#endif

#include "baracuda/device/numeric/lanes.cuh"

// clang-format off
BARACUDA_NUMERIC_BEGIN""")
    for name, what, function, weight, range32, range64, degree32, degree64 in ROWS:
        fits = {}
        for bits, (lo, hi), degree in ((24, range32, degree32), (53, range64, degree64)):
            target = function(bits) if function in (erfcx_tail, normal_tail_ratio) else function
            fits[bits] = fit(target, weight, lo, hi, degree, bits)
            print(name, bits, degree, mp.nstr(mp.log(fits[bits][1], 2), 4), file=sys.stderr)
        error = {bits: mp.nstr(mp.log(e, 2), 4) for bits, (_, e) in fits.items()}
        print(f"\n/// {what}:\n/// f32 2^{error[24]}, f64 2^{error[53]}.")
        print(f"template <class V>\nV {name}(V x) {{\n  if constexpr (kIsF64<V>) {{")
        for bits, end in ((53, "  } else {"), (24, "  }\n}")):
            print(call("    ", "return horner", ["x", *(literal(c, bits) for c in fits[bits][0])]))
            print(end)
    for name, what, function, weight, (lo, hi), degree in NARROW_ROWS:
        coefficients, error = fit(function, weight, lo, hi, degree, 24)
        print_narrow(name, what, error, {name: coefficients})
    what = "tanh(x) / x of z = x², |x| ≤ 6.3, as kReciprocalScale · numerator / denominator; error relative"
    scale = mpf(float.fromhex("0x1.7ab284p-2"))  # that of narrow.cuh
    (numerator, denominator), error = fit_ratio(
        lambda z: mp.tanh(mp.sqrt(z)) / mp.sqrt(z) / scale, 0, mpf("6.3") ** 2, 3)
    print_narrow("tanh_narrow", what, error,
                 {"tanh_numerator_narrow": numerator, "tanh_denominator_narrow": denominator})
    print("\nBARACUDA_NUMERIC_END\n// clang-format on\n\n#endif")


if __name__ == "__main__":
    main()
