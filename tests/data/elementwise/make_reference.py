#!/usr/bin/env python3
"""Writes reference.txt: the elementwise operators on special and random values, by mpmath, NumPy and SciPy.

    pip install numpy==2.4.6 scipy==1.17.1 mpmath==1.3.0
    python3 tests/data/elementwise/make_reference.py            # writes the table anew
    python3 tests/data/elementwise/make_reference.py --check    # fails where it is not the same

Where an argument is finite and the result is neither zero nor a pole, mpmath gives the exact value, of which the table
holds the nearest number of the kind and the distance to it. Everything else is the peer's: NumPy's or SciPy's function
of the name where there is one, else PyTorch's formula in NumPy. Each finite result of the peer must be near mpmath's,
and the same where one rounding is all that an operator does. What is ours on purpose is in `OURS`.

The table is words between spaces; a line that begins with # is a comment.

    points NAME KIND ARITY       then values: the first point's arguments, the second's, ...
    results OP KIND POINTS       then one result a point. KIND is in>out for a cast; s0=… s1=… follow POINTS where
                                 the operator's scalars are not the defaults

A number is the shortest decimal that reads back as it; of a kind of 8 or 16 bits that is no integer, its bits. A result
may go on: 2.5:-312 lies 0.312 ulp below 2.5, and the tolerance of 2.5:-312:4 is of units 2^4 times as large as an ulp of
it, because a term that cancels is as large (docs/ops/elementwise.md). inf:20 lies 0.02 ulp above the power of two that
follows the greatest number. * is a result that nobody promises, since a term on the way overflows.
"""

import math
import pathlib
import random
import sys
import textwrap
from fractions import Fraction

import mpmath
import numpy as np
import scipy.special
from mpmath import mp, mpf

TABLE = pathlib.Path(__file__).with_name("reference.txt")


# ---- kinds -----------------------------------------------------------------------------------------------------------

class Float:
    """A binary float kind: bits of the significand with the leading one, exponents of the least and greatest number."""

    def __init__(self, name, width, precision, least, greatest, dtype=None):
        self.name, self.width, self.precision, self.least, self.greatest = name, width, precision, least, greatest
        self.dtype = dtype
        self.has_infinity = name != "f8e4m3"

    def unit(self, value):
        """log2 of an ulp in the binade of the mpf."""
        _, _, exponent, bits = value._mpf_
        return min(max(exponent + bits - 1, self.least), self.greatest) - (self.precision - 1)

    def round(self, value):
        """Of an mpf: the integer that is nearest to it in units, and how far it lies above that, in thousandths."""
        sign, mantissa, exponent, bits = value._mpf_
        shift = int(exponent) - self.unit(value)
        if shift > 4096:
            return (-1) ** sign << 4096, 0
        if shift < -int(bits) - 64:
            return 0, 0
        exact = Fraction(int(mantissa)) * Fraction(2) ** shift * (-1) ** sign
        nearest = round(exact)  # ties to even
        return nearest, round((exact - nearest) * 1000)

    def text(self, value, sign=None):
        """A nonzero mpf as the table has it."""
        nearest, thousandths = self.round(value)
        unit = self.unit(value)
        if nearest == 0:
            return ("-0" if value < 0 else "0") + (f":{thousandths}" if thousandths else "")
        past = abs(nearest) - (1 << self.precision)
        if past >= 0 and unit == self.greatest - (self.precision - 1):
            infinity = "-inf" if value < 0 else "inf"
            if past > 100:
                return infinity
            return f"{infinity}:{(1000 * past * (1 if value > 0 else -1)) + thousandths}"
        return number(self.dtype(math.ldexp(nearest, unit))) + (f":{thousandths}" if thousandths else "")

    def encode(self, value):
        """The bits of the number nearest to the float, or nan: for the kinds of 8 and 16 bits."""
        sign = (1 if math.copysign(1, value) < 0 else 0) << (self.width - 1)
        fraction_bits = self.precision - 1
        infinity = (self.greatest - self.least + 2) << fraction_bits
        if math.isnan(value):
            return "nan"
        if math.isinf(value):
            return str(sign | infinity) if self.has_infinity else "nan"
        if value == 0:
            return str(sign)
        exact = mpf(value)
        nearest = abs(self.round(exact)[0])
        # The least exponent's leading one adds itself to the exponent's field.
        bits = ((self.unit(exact) + fraction_bits - self.least) << fraction_bits) + nearest
        if not self.has_infinity:
            return str(sign | bits) if bits < (1 << self.width - 1) - 1 else "nan"
        return str(sign | min(bits, infinity))

    def decode(self, bits):
        fraction_bits = self.precision - 1
        magnitude = bits & ((1 << self.width - 1) - 1)
        exponent, fraction = magnitude >> fraction_bits, magnitude & ((1 << fraction_bits) - 1)
        sign = -1.0 if bits >> (self.width - 1) else 1.0
        if self.has_infinity and exponent == self.greatest - self.least + 2:
            return math.nan if fraction else sign * math.inf
        if not self.has_infinity and magnitude == (1 << self.width - 1) - 1:
            return math.nan
        leading = 1 << fraction_bits if exponent else 0
        return sign * math.ldexp(leading + fraction, max(exponent, 1) - 1 + self.least - fraction_bits)


F32 = Float("f32", 32, 24, -126, 127, np.float32)
F64 = Float("f64", 64, 53, -1022, 1023, np.float64)
NARROW = [Float("f16", 16, 11, -14, 15), Float("bf16", 16, 8, -126, 127), Float("f8e4m3", 8, 4, -6, 8),
          Float("f8e5m2", 8, 3, -14, 15)]
FLOATS = [F32, F64]
INTEGERS = {f"{sign}{width}": np.dtype(f"{sign}{width // 8}") for sign in "iu" for width in (8, 16, 32, 64)}
DISCRETE = {**INTEGERS, "bool": np.dtype(bool)}


def number(value):
    """The shortest text of a NumPy number."""
    if isinstance(value, (np.bool_, np.integer)):
        return str(int(value))
    text = str(value).replace("e+", "e")
    return text[:-2] if text.endswith(".0") else text.replace(".0e", "e")


# ---- points ----------------------------------------------------------------------------------------------------------

def float_specials(kind):
    t, info = kind.dtype, np.finfo(kind.dtype)
    after = lambda x: np.nextafter(t(x), t(math.inf))
    before = lambda x: np.nextafter(t(x), t(-math.inf))
    tie = t(2) ** (kind.precision - 2)  # half of its ulp is a half
    values = [0, info.smallest_subnormal, before(info.smallest_normal), info.smallest_normal, info.max, math.inf,
              before(0.5), 0.5, before(1), 1, after(1), 1.5, 2, 2.5, before(3), 3, 6, after(6), 100, 1e-4, math.pi / 2,
              tie + t(0.5), before(tie), tie * 2 + 1, 2.0**63]
    return [v for x in values for v in (t(x), -t(x))] + [t(math.nan)]


def wide(kind, rng):
    """Any finite bit pattern."""
    unsigned = np.uint32 if kind is F32 else np.uint64
    while True:
        value = unsigned(rng.getrandbits(kind.width)).view(kind.dtype)
        if np.isfinite(value):
            return value


def moderate(kind, rng, low=-6, high=5):
    return kind.dtype(rng.choice([-1, 1]) * 2 ** (low + (high - low) * rng.random()) * (1 + rng.random() * 2**-30))


def close_to(kind, values, steps=(-1, 0, 1)):
    """The numbers nearest to exact values, and their neighbours, of both signs."""
    result = []
    for value in values:
        nearest = kind.dtype(float(value))
        for step in steps:
            x = np.nextafter(nearest, kind.dtype(step * math.inf)) if step else nearest
            result += [x, -x]
    return result


def trig(kind):
    """Where the reduction of the argument is hard: near multiples of π/2, the nearest of all, and the largest."""
    with mp.workprec(2400):
        half_pi = mp.pi / 2
        multiples = [k * half_pi for k in (1, 2, 3, 4, 11, 22, 355, 710, 2**19, 2**20, 2**20 + 1, 2**23 + 3)]
        for size in ["1e5", "1e9", "1e22"] + (["1e38"] if kind is F32 else ["1e100", "1e300"]):
            multiples.append(mp.nint(mpf(size) / half_pi) * half_pi)
        near = close_to(kind, multiples)
    hard = [16367173 * 2.0**72, 1e22, 1e38] if kind is F32 else [6381956970095103 * 2.0**797, 1e22, 1e300]
    return near + [kind.dtype(x) for x in hard]


def exponents(kind):
    """Where e^x, 2^x, erfc(x) and what is made of them overflow, become subnormal, vanish, or change branch."""
    if kind is F32:
        edges = [88.72283, 89.41598, 103.97208, 128, 150, 10.05, 14.2]
        values = [15.9, 87.336, 88.376, 103.2789, 126, 149, 9.19455, 12.5, 13.2]
    else:
        edges = [709.782712893384, 710.4758600739439, 745.1332191, 1024, 1075, 27.2, 38.6]
        values = [36.7, 708.3964, 709.4361, 744.4400719, 1022, 1074, 26.543, 37.5, 38.4]
    values += [0.34657359, 0.69314718, 1.0397207, 5.2, 8.6, 17.33, 20.0, 40.5, 64.0]
    return close_to(kind, edges, (-1, 1)) + close_to(kind, values, (0,))


def near_one(kind):
    t = kind.dtype
    ulp = np.finfo(t).eps
    steps = [k * ulp for k in (2, 3, 17, 1000)] + [t(2.0**-k) for k in (4, 9, 17)] + [t(0.2), t(0.29289), t(0.41421)]
    return [sign * x for d in steps for x in (t(1) - t(d), t(1) + t(d)) for sign in (t(1), t(-1))]


def shared_pairs(kind):
    t, info = kind.dtype, np.finfo(kind.dtype)
    values = [t(x) for x in (0, -0.0, 1, -1, 0.5, -2.5, 3, info.smallest_subnormal, -info.smallest_normal, info.max,
                             math.inf, -math.inf, math.nan)]
    rng = random.Random(f"pairs {kind.name}")
    pairs = [(x, y) for x in values for y in values] + [(-info.max, info.max)]
    return pairs + [(wide(kind, rng), wide(kind, rng)) for _ in range(12)] + [
        (moderate(kind, rng), moderate(kind, rng)) for _ in range(28)]


def quotient_pairs(kind):
    """Quotients at, just below and just above whole numbers, and huge ones."""
    rng = random.Random(f"quotients {kind.name}")
    pairs = []
    for _ in range(16):
        y = moderate(kind, rng)
        x = kind.dtype(y * kind.dtype(rng.randrange(1, 1000)))
        pairs += [(x, y), (np.nextafter(x, kind.dtype(0)), y)]
    for power in (20, 30, 60, 100):
        pairs += [(kind.dtype(moderate(kind, rng) * 2.0**power), moderate(kind, rng)) for _ in range(3)]
    return pairs


def power_pairs(kind):
    """Powers as far as the kind reaches, of bases near 1 to huge exponents too, and negative bases."""
    t, rng = kind.dtype, random.Random(f"powers {kind.name}")
    pairs = []
    for _ in range(24):
        x = abs(moderate(kind, rng, -20, 20))
        pairs.append((x, t((kind.greatest + 24) * (2 * rng.random() - 1) / math.log2(float(x)))))
    for steps in (1, 2, 77):
        for sign in (1, -1):
            x = t(1) + t(sign * steps) * np.finfo(t).eps
            pairs += [(x, t(y / math.log2(float(x)))) for y in (1.5, -3.25, kind.greatest - 1.0, kind.least - 3.0)]
    pairs += [(t(-1.5), t(y)) for y in (2, 3, -5, 0.5, 2.0**24 - 1, 1e30)]
    return pairs + [(t(x), t(y)) for x in (-0.0, 0, -math.inf, math.inf, -1) for y in (3, 4, -3, -4, 0.25, -0.25)]


def distant_pairs(kind):
    """Of very different and of nearly the same magnitude: for atan2, hypot, logaddexp, xlogy."""
    t, rng = kind.dtype, random.Random(f"distant {kind.name}")
    pairs = []
    for distance in (0, 1, 12, 25, 60, 140):
        for _ in range(4):
            x = moderate(kind, rng)
            pairs.append((x, t(x * t(2.0 ** -min(distance, 100)) * t(1 + rng.random()))))
    top = t(2.0 ** (kind.greatest - 1))
    pairs += [(top, top), (top * t(1.75), top * t(1.5)), (1 / top, 1 / top), (1 / top, top)]
    pairs += [(t(a), t(b)) for a, b in ((-0.7, -0.69), (-0.6931472, -0.6931472), (-1.3, -0.3), (-40.25, -0.5),
                                        (-1e-3, -7.5), (88, 87.5), (-700, -699), (2, 1.0001), (-3, 0.99999))]
    return pairs


def triples(kind):
    t, info = kind.dtype, np.finfo(kind.dtype)
    values = [t(x) for x in (0, 1, -2.5, info.max, math.inf, math.nan)]
    rng = random.Random(f"triples {kind.name}")
    result = [(x, y, z) for x in values for y in values for z in values]
    result += [(t(-0.0), t(-0.0), t(z)) for z in (0, 0.5, 1, -1)]
    result += [(moderate(kind, rng), moderate(kind, rng), t(z)) for z in (0, 0.25, 0.49, 0.5, 0.51, 0.75, 1, 2, -1)
               for _ in range(2)]
    return result + [tuple(moderate(kind, rng) for _ in range(3)) for _ in range(20)]


def integer_values(dtype):
    if dtype == np.bool_:
        return [np.bool_(False), np.bool_(True)]
    info = np.iinfo(dtype)
    width = info.bits
    values = [0, 1, 2, 7, width - 1, width, info.max, info.max - 1, info.min, info.min + 1, -1, -7, -2]
    return [dtype.type(v) for v in dict.fromkeys(values) if info.min <= v <= info.max]


def random_integer(dtype, rng):
    return dtype.type(rng.randrange(2)) if dtype == np.bool_ else np.frombuffer(
        rng.getrandbits(8 * dtype.itemsize).to_bytes(dtype.itemsize, "little"), dtype)[0]


def cast_values(kind):
    """Ties, limits and their neighbours of all kinds that are cast to."""
    t = kind.dtype
    limits = [float(np.iinfo(d).max) for d in INTEGERS.values()] + [float(np.iinfo(d).max) + 1 for d in
                                                                    INTEGERS.values()]
    limits += [65504, 65520, 448, 464, 480, 57344, 61440, 3.3961775e38, 3.4028236e38, 2.0**-24, 2.0**-25, 2.0**-16,
               2.0**-17, 2.0**-9, 2.0**-10, 2.0**-133, 2.0**-134, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-8,
               1 + 3 * 2.0**-8, 1.0625, 1.1875, 1.125, 1.375, 0.999, 1.999, 2.5, 1e-3]
    if kind is F64:
        limits += [1 + 2.0**-24, 1 + 3 * 2.0**-24, 1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-8 + 2.0**-40,
                   1.0625 + 2.0**-40, 2.0**-149, 2.0**-150]
    return close_to(kind, dict.fromkeys(limits))


def all_points():
    """{(name, kind): (arity, points)}; a point is a tuple of NumPy numbers, or of bits of a narrow float."""
    points = {}
    for kind in FLOATS:
        rng = random.Random(f"unary {kind.name}")
        unary = float_specials(kind) + [wide(kind, rng) for _ in range(8)] + [moderate(kind, rng) for _ in range(20)]
        for name, values in {"unary": unary, "trig": trig(kind), "exponents": exponents(kind),
                             "near_one": near_one(kind), "cast": cast_values(kind)}.items():
            points[name, kind.name] = [(x,) for x in values]
        points["pairs", kind.name] = shared_pairs(kind)
        points["quotients", kind.name] = quotient_pairs(kind)
        points["powers", kind.name] = power_pairs(kind)
        points["distant", kind.name] = distant_pairs(kind)
        points["triples", kind.name] = triples(kind)
        values = [kind.dtype(x) for x in (-0.0, 1.5, math.inf, math.nan)]
        points["choices", kind.name] = [(np.bool_(c), x, y) for c in (False, True) for x in values for y in values]
    for name, dtype in DISCRETE.items():
        rng = random.Random(f"integers {name}")
        draw = lambda: random_integer(dtype, rng)
        values = integer_values(dtype)
        points["unary", name] = [(x,) for x in values] + [(draw(),) for _ in range(6)]
        few = values if name in ("i8", "u8") else values[:9]
        points["pairs", name] = [(x, y) for x in few for y in few] + [(draw(), draw()) for _ in range(8)]
        points["choices", name] = [(np.bool_(i % 3 == 0), draw(), draw()) for i in range(12)]
    for kind in NARROW:
        rng = random.Random(f"narrow {kind.name}")
        ends = [0, 1, (1 << kind.precision - 1) - 1, 1 << kind.precision - 1, (1 << kind.width - 1) - 1]
        ends += [kind_bits + step for kind_bits in [(kind.greatest - kind.least + 2) << kind.precision - 1]
                 for step in (-1, 0) if kind.has_infinity]
        bits = [b | sign << kind.width - 1 for b in ends for sign in (0, 1)]
        points["unary", kind.name] = [(b,) for b in bits + [rng.getrandbits(kind.width) for _ in range(12)]]
    return points


# ---- operators -------------------------------------------------------------------------------------------------------

def exp(x):
    return mp.ldexp(1, 100000 if x > 0 else -100000) if abs(x) > 30000 else mp.exp(x)


def exp2(x):
    return mp.ldexp(1, 100000 if x > 0 else -100000) if abs(x) > 30000 else mp.power(2, x)


def expm1(x):
    return exp(x) - 1 if abs(x) > 1 else mp.expm1(x)


def erfc(x):
    return mp.ldexp(1, -100000) if x > 100 else mpf(2) if x < -100 else mp.erfc(x)


def power(x, y):
    if x == 0:
        return None
    magnitude = exp(y * mp.log(abs(x)))
    if x > 0:
        return magnitude
    return magnitude * (-1) ** (int(y) % 2) if mp.isint(y) else None


def fraction(x):
    sign, mantissa, exponent, _ = x._mpf_
    return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent)


def of_fraction(f):
    return mpf(f.numerator) / f.denominator


def truncated_remainder(x, y):
    q = fraction(x) / fraction(y)
    return of_fraction(fraction(x) - fraction(y) * math.trunc(q))


def floor_remainder(x, y):
    q = fraction(x) / fraction(y)
    return of_fraction(fraction(x) - fraction(y) * math.floor(q))


def clip(x, low, high):
    return min(max(x, low), high)


def sigmoid(x):
    return 1 / (1 + exp(-x))


def softplus(x):
    return mp.log1p(exp(x)) if x < 0 else x + mp.log1p(exp(-x))


def gelu_argument(x):
    return 2 * mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)


def gelu_tanh_terms(x):
    """σ(t) repeats the rounding of t as often as t · (1 − σ(t)) is large."""
    t = gelu_argument(x)
    return [x * sigmoid(t) * (1 + abs(t) * sigmoid(-t))]


def tanh(x):
    return mp.sign(x) if abs(x) > 5000 else mp.tanh(x)


SELU_SCALE, SELU_ALPHA = "1.0507009873554804934193349852946", "1.6732632423543772848170429916717"


def logaddexp_terms(x, y):
    d = abs(x - y)
    return [max(x, y), (1 + d) * exp(-d)]


class Op:
    """exact: over mpf, None where the peer has the word. peer: over NumPy arrays. rounds_once: no ulp to measure.
    terms: the sizes of which the tolerance's units are, where they are not the result's. sets: points of its own, past
    those of its arity. scalars: tuples other than the defaults; the functions take them after the inputs. near: how far
    the peer may be from mpmath, in ulp."""

    def __init__(self, exact, peer, *, arity=1, rounds_once=False, terms=None, sets=(), default=(), scalars=(),
                 near=16, precision=200):
        self.exact, self.peer, self.arity, self.rounds_once, self.terms = exact, peer, arity, rounds_once, terms
        self.sets, self.default, self.scalars, self.near, self.precision = sets, default, scalars, near, precision


def once(exact, peer, **more):
    return Op(exact, peer, rounds_once=True, precision=4400, **more)


def two(exact, peer, **more):
    return Op(exact, peer, arity=2, **more)


def np_gelu_tanh(x):
    inner = x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x * x * x)
    return x.dtype.type(0.5) * x * (1 + np.tanh(inner))


def np_softplus(x, beta, threshold):
    return np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta)


def np_lerp(x, y, weight):
    return np.where(np.abs(weight) < 0.5, x + weight * (y - x), y - (y - x) * (1 - weight))


def np_softshrink(x, s):
    return np.where(np.isnan(x), x, np.where(x > s, x - s, np.where(x < -s, x + s, x.dtype.type(0))))


def second_zero(function):
    """IEEE 754 leaves the sign of a zero to minimum and maximum, and NumPy to the processor: ours is the second's."""
    return lambda x, y: np.where((x == 0) & (y == 0), y, function(x, y))


np_minimum, np_maximum = second_zero(np.minimum), second_zero(np.maximum)


def np_clip(x, low, high):
    """torch.clamp: the upper bound wins, and NaN passes, in a bound too."""
    return np_minimum(np_maximum(x, low), high)


def mp_clip(x, low, high):
    return clip(x, low, high) if mp.isfinite(low) and mp.isfinite(high) else None


RANGE = dict(sets=("exponents",), precision=400)
FLOAT_OPS = {
    "abs": once(abs, np.abs),
    "neg": once(lambda x: -x, np.negative),
    "sign": once(mp.sign, np.sign),
    "square": once(lambda x: x * x, np.square),
    "reciprocal": once(lambda x: 1 / x, np.reciprocal),
    "sqrt": once(mp.sqrt, np.sqrt),
    "rsqrt": Op(lambda x: 1 / mp.sqrt(x), lambda x: 1 / np.sqrt(x)),
    "floor": once(mp.floor, np.floor),
    "ceil": once(mp.ceil, np.ceil),
    "trunc": once(lambda x: mp.floor(x) if x > 0 else mp.ceil(x), np.trunc),
    "round": once(mp.nint, np.rint),
    "frac": once(lambda x: x - (mp.floor(x) if x > 0 else mp.ceil(x)), lambda x: x - np.trunc(x)),
    "exp": Op(exp, np.exp, **RANGE),
    "exp2": Op(exp2, np.exp2, **RANGE),
    "expm1": Op(expm1, np.expm1, **RANGE),
    "log": Op(mp.log, np.log, sets=("near_one",)),
    "log2": Op(lambda x: mp.log(x) / mp.log(2), np.log2, sets=("near_one",)),
    "log10": Op(lambda x: mp.log(x) / mp.log(10), np.log10, sets=("near_one",)),
    "log1p": Op(mp.log1p, np.log1p, sets=("near_one",)),
    "sin": Op(mp.sin, np.sin, sets=("trig",)),
    "cos": Op(mp.cos, np.cos, sets=("trig",)),
    "tan": Op(mp.tan, np.tan, sets=("trig",)),
    "asin": Op(mp.asin, np.arcsin, sets=("near_one",)),
    "acos": Op(mp.acos, np.arccos, sets=("near_one",)),
    "atan": Op(mp.atan, np.arctan, sets=("near_one",)),
    "sinh": Op(lambda x: mp.sinh(x) if abs(x) < 1 else (exp(x) - exp(-x)) / 2, np.sinh, **RANGE),
    "cosh": Op(lambda x: (exp(x) + exp(-x)) / 2, np.cosh, **RANGE),
    "tanh": Op(tanh, np.tanh, **RANGE),
    "asinh": Op(mp.asinh, np.arcsinh, sets=("near_one",), precision=2400),
    "acosh": Op(mp.acosh, np.arccosh, sets=("near_one",)),
    "atanh": Op(mp.atanh, np.arctanh, sets=("near_one",), precision=2400),
    "erf": Op(lambda x: mp.sign(x) if abs(x) > 100 else mp.erf(x), scipy.special.erf, **RANGE),
    "erfc": Op(erfc, scipy.special.erfc, near=256, **RANGE),
    # Activations: PyTorch's formulas.
    "relu": once(lambda x: max(x, 0), lambda x: np.where(x < 0, x.dtype.type(0), x)),
    "relu6": once(lambda x: clip(x, 0, 6), lambda x: np_clip(x, x.dtype.type(0), x.dtype.type(6))),
    "hardsigmoid": Op(lambda x: clip(x + 3, 0, 6) / 6, lambda x: np.clip(x + 3, 0, 6) / 6, precision=2400),
    "hardswish": Op(lambda x: x * clip(x + 3, 0, 6) / 6, lambda x: x * np.clip(x + 3, 0, 6) / 6, precision=2400),
    "softsign": Op(lambda x: x / (1 + abs(x)), lambda x: x / (1 + np.abs(x)), precision=2400),
    "sigmoid": Op(sigmoid, scipy.special.expit, **RANGE),
    "log_sigmoid": Op(lambda x: -softplus(-x), scipy.special.log_expit, **RANGE),
    "silu": Op(lambda x: x * sigmoid(x), lambda x: x / (1 + np.exp(-x)), **RANGE),
    "gelu": Op(lambda x: x * erfc(-x / mp.sqrt(2)) / 2,
               lambda x: x * scipy.special.erfc(-x * x.dtype.type(math.sqrt(0.5))) / 2, near=1e4, **RANGE),
    "gelu_tanh": Op(lambda x: x * sigmoid(gelu_argument(x)), np_gelu_tanh, near=math.inf,
                    terms=gelu_tanh_terms, **RANGE),
    "mish": Op(lambda x: x if x > 5000 else x * tanh(softplus(x)), lambda x: x * np.tanh(np.log1p(np.exp(x))),
               near=1e4, **RANGE),
    "selu": Op(lambda x: mpf(SELU_SCALE) * (x if x > 0 else mpf(SELU_ALPHA) * expm1(x)),
               lambda x: x.dtype.type(SELU_SCALE) * np.where(x > 0, x, x.dtype.type(SELU_ALPHA) * np.expm1(x)),
               **RANGE),
    "tanhshrink": Op(lambda x: x - tanh(x), lambda x: x - np.tanh(x), terms=lambda x: [x], sets=("exponents",),
                     precision=6000),
    "elu": Op(lambda x, a: x if x > 0 else a * expm1(x), lambda x, a: np.where(x > 0, x, a * np.expm1(x)),
              default=(1,), scalars=[(1.3,)], **RANGE),
    "celu": Op(lambda x, a: x if x > 0 else a * expm1(x / a), lambda x, a: np.where(x > 0, x, a * np.expm1(x / a)),
               default=(1,), scalars=[(3,), (-0.7,)], near=1e3,
               terms=lambda x, a: [a * expm1(x / a) * (1 + x / a)] if x < 0 and a < 0 else [], **RANGE),
    "softplus": Op(lambda x, b, t: x if x * b > t else softplus(x * b) / b, np_softplus, default=(1, 20),
                   scalars=[(0.3, 10), (3, math.inf)], near=1e3,
                   terms=lambda x, b, t: [softplus(x * b) / b * (1 - x * b)] if x * b < 0 and b != 1 else [], **RANGE),
    "leaky_relu": Op(lambda x, s: x if x > 0 else x * s, lambda x, s: np.where(x > 0, x, x * s), default=(0.01,),
                     scalars=[(-0.3,)]),
    "hardtanh": once(mp_clip, np_clip, default=(-1, 1), scalars=[(-2.5, 3)]),
    "hardshrink": once(lambda x, s: mpf(0) if abs(x) <= s else x,
                       lambda x, s: np.where(np.abs(x) <= s, x.dtype.type(0), x), default=(0.5,), scalars=[(0,)]),
    "softshrink": Op(lambda x, s: x - s if x > s else x + s if x < -s else mpf(0), np_softshrink, default=(0.5,),
                     scalars=[(0.3,)], precision=2400),
    "threshold": once(lambda x, s, v: v if x <= s else x, lambda x, s, v: np.where(x <= s, v, x), default=(0, 0),
                      scalars=[(1, 20)]),
    "clamp": once(mp_clip, np_clip, default=(-math.inf, math.inf), scalars=[(-0.5, 2.5), (2, -2), (math.nan, 1)]),
    "affine": Op(lambda x, s, b: x * s + b, lambda x, s, b: x * s + b, default=(1, 0), scalars=[(2.7, -1.35)],
                 near=math.inf, precision=2400),

    "add": once(lambda x, y: x + y, np.add, arity=2),
    "sub": once(lambda x, y: x - y, np.subtract, arity=2),
    "mul": once(lambda x, y: x * y, np.multiply, arity=2),
    "div": once(lambda x, y: x / y, np.divide, arity=2),
    "floor_divide": two(lambda x, y: of_fraction(Fraction(math.floor(fraction(x) / fraction(y)))), np.floor_divide,
                        sets=("quotients",), precision=4400, near=2),
    "remainder": once(floor_remainder, np.remainder, arity=2, sets=("quotients",)),
    "fmod": once(truncated_remainder, np.fmod, arity=2, sets=("quotients",)),
    "minimum": once(min, np_minimum, arity=2),
    "maximum": once(max, np_maximum, arity=2),
    "fmin": once(min, second_zero(np.fmin), arity=2),
    "fmax": once(max, second_zero(np.fmax), arity=2),
    "squared_difference": two(lambda x, y: (x - y) ** 2, lambda x, y: np.square(x - y), precision=4400),
    "pow": two(power, np.power, sets=("powers",), precision=1400),
    "atan2": two(lambda x, y: mp.atan2(x, y) if x else None, np.arctan2, sets=("distant",)),
    "hypot": two(mp.hypot, np.hypot, sets=("distant",)),
    "logaddexp": two(lambda x, y: max(x, y) + mp.log1p(exp(-abs(x - y))), np.logaddexp, sets=("distant",),
                     terms=logaddexp_terms, precision=4400),
    "xlogy": two(lambda x, y: x * mp.log(y), scipy.special.xlogy, sets=("distant",)),
    "copysign": once(lambda x, y: None, np.copysign, arity=2),
    "heaviside": once(lambda x, y: None, np.heaviside, arity=2),
    "lerp": Op(lambda x, y, z: x + z * (y - x), np_lerp, arity=3, precision=4400,
               terms=lambda x, y, z: [x, y, y - x, (z if abs(z) < 0.5 else 1 - z) * (y - x)]),
    "addcmul": Op(lambda x, y, z, s: x + s * y * z, lambda x, y, z, s: x + s * y * z, arity=3, default=(1,),
                  scalars=[(-0.3,)], terms=lambda x, y, z, s: [x, s * y * z], precision=4400),
}
# Predicates and what moves bits, of floats and of integers.
FLOAT_PREDICATES = {"isnan": np.isnan, "isinf": np.isinf, "isposinf": np.isposinf, "isneginf": np.isneginf,
                    "isfinite": np.isfinite, "signbit": np.signbit}
PREDICATES = {"logical_not": (1, np.logical_not), "eq": (2, np.equal), "ne": (2, np.not_equal), "lt": (2, np.less),
              "le": (2, np.less_equal), "gt": (2, np.greater), "ge": (2, np.greater_equal),
              "logical_and": (2, np.logical_and), "logical_or": (2, np.logical_or), "logical_xor": (2, np.logical_xor)}
# (arity, function, scalars). NumPy's of the name: they wrap, and by 0 give 0.
INTEGER_OPS = {
    "abs": (1, np.abs), "neg": (1, np.negative), "sign": (1, np.sign), "square": (1, np.square),
    "relu": (1, lambda x: np.maximum(x, x.dtype.type(0))),
    "relu6": (1, lambda x: np.clip(x, x.dtype.type(0), x.dtype.type(6))),
    "hardtanh": (1, lambda x, low, high: np.minimum(np.maximum(x, low), high), (-1, 1), (-3, 5)),
    "threshold": (1, lambda x, s, v: np.where(x <= s, v, x), (0, 0), (1, 20)),
    "clamp": (1, lambda x, low, high: np.minimum(np.maximum(x, low), high), (-math.inf, math.inf), (-3, 5),
              (5, -2), (-300, 1e300)),
    "add": (2, np.add), "sub": (2, np.subtract), "mul": (2, np.multiply), "floor_divide": (2, np.floor_divide),
    "remainder": (2, np.remainder), "fmod": (2, np.fmod), "minimum": (2, np.minimum), "maximum": (2, np.maximum),
    "fmin": (2, np.fmin), "fmax": (2, np.fmax),
    "squared_difference": (2, lambda x, y: np.square(np.subtract(x, y))),
}
DISCRETE_OPS = {"bitwise_not": (1, np.invert), "bitwise_and": (2, np.bitwise_and), "bitwise_or": (2, np.bitwise_or),
                "bitwise_xor": (2, np.bitwise_xor)}
SHIFTS = {"shift_left": (2, np.left_shift), "shift_right": (2, np.right_shift)}

# Where ours is not the peer's: operators, when, what, why.
OURS = [
    (["hardswish"], lambda x: x == -math.inf, lambda x: -0.0,
     "its limit from below, where PyTorch's formula has −∞ · 0 = NaN"),
    (["softsign"], np.isinf, lambda x: math.copysign(1, x), "its limit, where PyTorch's formula has ∞ / ∞ = NaN"),
    (["sign"], lambda x: x == 0, lambda x: x, "−0 stays −0, as in jax.numpy; NumPy and PyTorch give 0"),
    (["remainder"], lambda x, y: np.fmod(x, y) == 0, np.fmod,
     "a remainder of 0 has the sign of x, as in PyTorch; NumPy gives it that of y"),
]


# ---- results ---------------------------------------------------------------------------------------------------------

def exact_value(op, args):
    """The mpf, or None where the peer has the word."""
    try:
        value = op.exact(*args)
    except (ZeroDivisionError, ValueError):
        return None
    if value is None or isinstance(value, mpmath.mpc) or not mp.isfinite(value) or value == 0:
        return None
    return mpf(value)


def float_result(name, op, kind, point, scalars, peer):
    for ops, applies, ours, _ in OURS:
        if name in ops and applies(*point):
            return number(kind.dtype(ours(*point)))
    args = [mpf(float(x)) for x in (*point, *scalars)]
    finite = all(np.isfinite(x) for x in point)
    value = exact_value(op, args) if finite else None
    terms = [abs(t) for t in op.terms(*args)] if op.terms and finite else []
    if any(t >= mp.ldexp(1, kind.greatest) for t in terms):
        return "*"
    if value is None:
        # What is exactly zero may not be in the peer's arithmetic.
        unit = max((kind.unit(t) for t in terms if t), default=None)
        if unit is not None and np.isfinite(peer) and peer != 0:
            return f"0:0:{unit - (kind.least - kind.precision + 1)}"
        return number(peer)
    text = kind.text(value)
    rounded = text.split(":")[0]
    if op.rounds_once:
        assert rounded == number(peer), (name, kind.name, point, scalars, text, peer)
        return rounded
    larger = max((kind.unit(t) for t in terms if t), default=kind.unit(value)) - kind.unit(value)
    # A formula may underflow on the way, or overflow.
    if np.isfinite(peer) and peer != 0 and np.isfinite(float(rounded)):
        distance = abs(mpf(float(peer)) - value) / mp.ldexp(1, kind.unit(value) + max(larger, 0))
        assert distance <= op.near, (name, kind.name, point, scalars, text, peer, float(distance))
    if larger <= 0 and not (op.terms and float(rounded) == 0):
        return text
    return f"{text}:{max(larger, 0)}" if ":" in text else f"{text}:0:{max(larger, 0)}"


def scalar_words(scalars, default):
    return "" if tuple(scalars) == tuple(default) else "".join(f" s{i}={s:g}" for i, s in enumerate(scalars))


def columns(points, dtypes):
    return [np.array([p[i] for p in points], dtype) for i, dtype in enumerate(dtypes)]


def float_results(points):
    for kind in FLOATS:
        shared = {1: "unary", 2: "pairs", 3: "triples"}
        for name, op in FLOAT_OPS.items():
            for scalars in [op.default, *op.scalars]:
                typed = [kind.dtype(s) for s in scalars]
                for points_name in [shared[op.arity], *op.sets]:
                    chosen = points[points_name, kind.name]
                    peers = op.peer(*columns(chosen, [kind.dtype] * op.arity), *typed)
                    assert peers.dtype == kind.dtype, name
                    with mp.workprec(op.precision):
                        words = [float_result(name, op, kind, p, typed, peer) for p, peer in zip(chosen, peers)]
                    yield f"{name} {kind.name} {points_name}{scalar_words(scalars, op.default)}", words
        for name, function in FLOAT_PREDICATES.items():
            yield f"{name} {kind.name} unary", map(number, function(*columns(points["unary", kind.name], [kind.dtype])))


def saturated(scalar, dtype):
    info = np.iinfo(dtype)
    return dtype.type(info.max if scalar >= info.max else info.min if scalar <= info.min else int(scalar))


def discrete_results(points):
    dtypes = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64), **DISCRETE}
    for kind, dtype in dtypes.items():
        ops = dict(PREDICATES)
        if kind in DISCRETE:
            ops |= DISCRETE_OPS
        if kind in INTEGERS:
            ops |= INTEGER_OPS | SHIFTS
        for name, (arity, function, *scalars) in ops.items():
            set_name = {1: "unary", 2: "pairs"}[arity]
            args = columns(points[set_name, kind], [dtype] * arity)
            for values in scalars or [()]:
                results = function(*args, *[saturated(s, dtype) for s in values])
                assert results.dtype in (dtype, np.bool_), name
                yield f"{name} {kind} {set_name}{scalar_words(values, (scalars or [()])[0])}", map(number, results)
        condition, x, y = columns(points["choices", kind], [np.bool_, dtype, dtype])
        yield f"where {kind} choices", map(number, np.where(condition, x, y))


def cast_word(value, is_float, to):
    """`value`, a Python float or int, in the kind named `to`."""
    if to == "bool":
        return str(int(value != 0))
    if to in INTEGERS:
        info = np.iinfo(INTEGERS[to])
        if not is_float:
            return str((value - info.min) % (1 << info.bits) + info.min)
        if value != value:
            return "0"
        return str(info.max if value >= info.max else info.min if value <= info.min else int(value))
    for kind in NARROW:
        if to == kind.name:
            if kind.name == "f16" and is_float:  # NumPy rounds integers twice
                mine, theirs = kind.encode(value), np.float64(value).astype(np.float16)
                assert mine == ("nan" if np.isnan(theirs) else str(theirs.view(np.uint16))), value
            return kind.encode(value) if is_float or value == 0 else encode_integer(kind, value)
    kind = F32 if to == "f32" else F64
    if value == 0 or value != value or abs(value) == math.inf:
        return number(kind.dtype(value))
    rounded = kind.text(mpf(value)).split(":")[0]
    assert rounded == number(np.array(value).astype(kind.dtype)), (value, to)
    return rounded


def encode_integer(kind, value):
    """An integer's last bits may not fit into the float that encode takes: they go into one sticky bit."""
    magnitude = abs(value)
    if magnitude.bit_length() > 40:
        shift = magnitude.bit_length() - 40
        magnitude = (magnitude >> shift | bool(magnitude & ((1 << shift) - 1))) << shift
    return kind.encode(math.copysign(magnitude, value))


def cast_results(points):
    outputs = ["f32", "f64", *(kind.name for kind in NARROW), *DISCRETE]
    narrow = {kind.name: kind for kind in NARROW}
    for source in outputs:
        for points_name in ["unary"] + (["cast"] if source in ("f32", "f64") else []):
            chosen = [p[0] for p in points[points_name, source]]
            values = [narrow[source].decode(x) if source in narrow else float(x) if source in ("f32", "f64") else int(x)
                      for x in chosen]
            for to in outputs:
                yield f"cast {source}>{to} {points_name}", [cast_word(v, source not in DISCRETE, to) for v in values]


def table():
    lines = ["# Written by make_reference.py, which says what the words mean."]
    fold = lambda words: textwrap.wrap(" ".join(words), 119, initial_indent=" ", subsequent_indent=" ",
                                       break_long_words=False, break_on_hyphens=False)
    with np.errstate(all="ignore"), mp.workprec(200):
        points = all_points()
        for (name, kind), chosen in points.items():
            lines.append(f"points {name} {kind} {len(chosen[0])}")
            lines += fold(str(x) if kind in {k.name for k in NARROW} else number(x) for p in chosen for x in p)
        for results in (float_results, discrete_results, cast_results):
            for title, words in results(points):
                lines.append(f"results {title}")
                lines += fold(words)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = table()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if text == TABLE.read_text() else f"{TABLE} is not what {__file__} writes")
    TABLE.write_text(text)
