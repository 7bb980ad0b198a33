"""Some thousands of calls with wrong fields and tensors: each gives an error of a known kind and writes nothing, or is
right after all. None ends the process."""

import collections
import ctypes
import inspect
import math
import os
import random
import re
import typing
import unittest

import baracuda
from baracuda import _ops
from producer import CPU, CUDA, CUDA_HOST, CUDA_MANAGED, IS_COPIED, PADDED, READ_ONLY, ROCM, Producer

SEED = int(os.environ.get("BARACUDA_TEST_SEED", "20261121"))
OPS = [getattr(baracuda, name) for name in _ops.__all__ if name != "Preference"]
# What a caller can do wrong: the library's errors, Python's for a wrong type, and what a producer raises.
EXPECTED = (baracuda.Error, TypeError, ValueError, BufferError)
# The library's errors, and Python's TypeErrors, tell which op, argument or member they are about.
OURS = re.compile(r"Preference|DLPack|CUDA|cuda|stream|device|" + "|".join(
    f"{name}|{re.sub('(?<!^)(?=[A-Z])', '_', name).lower()}" for name in _ops.__all__))
DTYPES = {"f16": (2, 16), "bf16": (4, 16), "f32": (2, 32), "f64": (2, 64), "i8": (0, 8), "i16": (0, 16), "i32": (0, 32),
          "i64": (0, 64), "u8": (1, 8), "bool": (6, 8), "f8e4m3": (10, 8), "complex64": (5, 64), "s4": (0, 4),
          "u4": (1, 4)}
STREAMS = (0, 1, -1, 2**63, "0", 1.5, None, object())
# Extents up to 4, rank up to 4, strides up to 40 elements of up to 8 bytes: what a tensor reaches is within it.
ARENA_BYTES = 1 << 13


class Named(type):
    """Of classes that name themselves as they like."""

    __name__ = property(lambda self: self.own_name)


class Fuzzer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.makes_mistakes = self.random.random() < 0.6
        # Small numbers everywhere, so that they are valid positions, scales and sizes.
        self.arenas = [ctypes.create_string_buffer(b"\1\0\0\0\0\0\0\0" * (ARENA_BYTES // 8), ARENA_BYTES)
                       for _ in range(8)]

    def mistake(self, one_in):
        return self.makes_mistakes and self.random.randrange(one_in) == 0

    def dims(self):
        return tuple(self.random.choice((1, 2, 3, 4)) for _ in range(self.random.choice((1, 1, 2, 2, 3, 4))))

    def hostile_integer(self):
        return self.random.choice((0, -1, 2**31, 2**32 + 1, 2**62, 2**63 - 1, -(2**63), 2**63, 2**200))

    def field(self, name, annotation, shape):
        if self.mistake(25):
            return self.random.choice((None, "", "a" * 5000, 1.5, object(), [None], (2**70,), self.hostile_integer(),
                                       [self.hostile_integer()] * self.random.randrange(12)))
        if "Sequence[int]" in annotation:
            if self.mistake(6):
                return self.dims()
            return {"start": (0,) * len(shape), "end": shape}.get(name, shape)
        if "ElementwiseOp" in annotation:
            return self.random.choice(typing.get_args(_ops.ElementwiseOp))
        if "Element" in annotation:
            return self.random.choice((*DTYPES, "q4_0", "b1")) if self.mistake(4) else "f32"
        if "bool" in annotation:
            return self.random.random() < 0.2
        if "int" in annotation:
            return self.random.choice((0, 1, 2, 3, 4, self.hostile_integer()) if self.mistake(3) else (1, 2))
        return self.random.choice(typing.get_args(getattr(_ops, annotation.removesuffix(" | None"))))

    def tensor(self, arena, shape, element):
        dtype = DTYPES.get(element, (2, 32))
        if self.mistake(5):
            shape = self.dims()
        what = dict(strides=None, code=dtype[0], bits=dtype[1], versioned=self.random.random() < 0.5)
        if self.mistake(3):
            what["strides"] = tuple(self.random.choice((1, 2, 40, 0, -1, -7)) for _ in shape)
        if self.mistake(12):
            what["code"], what["bits"] = self.random.choice(list(DTYPES.values()))
        if self.mistake(25):
            what["device"] = (self.random.choice((CPU, CUDA, CUDA_HOST, CUDA_MANAGED, ROCM, 0, -5)),
                              self.random.choice((0, 0, 1, -1)))
        if self.mistake(25):
            what["flags"] = self.random.choice((READ_ONLY, IS_COPIED, PADDED, 0xff))
        if self.mistake(60):
            what["ndim"] = self.random.choice((-1, 0, 9, 1000))
            shape = (*shape, *[1] * 16)[:16] if what["ndim"] in (-1, 9) else shape
        if self.mistake(60):
            shape = tuple(self.random.choice((0, -1, 2**31, 2**62, 2**63 - 1)) for _ in shape)
        if self.mistake(60):
            what["strides"] = tuple(self.random.choice((2**62, -(2**63), 2**63 - 1)) for _ in shape)
        if self.mistake(60):
            what["lanes"] = self.random.choice((0, 2, 65535))
        data = ctypes.addressof(arena) + ARENA_BYTES // 2 + (self.random.choice((1, 4)) if self.mistake(8) else 0)
        if self.mistake(60):
            data = None
        made = Producer(data, shape, **what)
        if self.mistake(30):
            names, modules = (2**100, b"", None, [], "é\0"), (None, 7, "jaxlib", "torch")
            made.__class__ = Named("Tensor", (Producer,), {"own_name": self.random.choice(names),
                                                           "__module__": self.random.choice(modules)})
        if self.mistake(40):
            made = baracuda.view(made, self.random.choice(list(DTYPES)), self.random.choice((None, shape)))
        return self.random.choice((None, 7, "x", [1.0], object())) if self.mistake(40) else made

    def preference(self):
        if self.mistake(3):
            return self.random.choice(({}, 0, "", object(), {"determinism": "any"}, baracuda.Preference))
        members = {}
        for name, parameter in inspect.signature(baracuda.Preference).parameters.items():
            if self.random.random() < 0.3:
                hostile = self.mistake(2)
                if "bool" in parameter.annotation or hostile:
                    members[name] = self.random.choice((None, False, *(
                        ([None], "bespoke", [[]], 5, {}, [2**70], self.hostile_integer()) if hostile else ())))
                elif "int" in parameter.annotation:
                    members[name] = self.random.choice((None, 0, 1 << 20))
                else:
                    names = typing.get_args(getattr(_ops, re.search(r"[A-Z]\w+(?=\]| \||$)", parameter.annotation)[0]))
                    chosen = self.random.choice(names)
                    members[name] = [chosen] if "Collection" in parameter.annotation else chosen
        return baracuda.Preference(**members)

    def where(self):
        """Keywords that all plans have."""
        given = {"num_threads": 1}
        if self.mistake(30):
            given["num_threads"] = self.random.choice((None, "1", 1.5, [], 2, -1, 2**31, -(2**63), 2**200))
        if self.mistake(30):
            given["device"] = self.random.choice((None, "cpu", "cuda", "cuda:0", "cuda:999", "gpu", 0, object()))
        if self.mistake(8):
            given["preference"] = self.preference()
        return given

    def with_what(self, workspace_arena):
        """Keywords that all calls have."""
        given = {}
        if self.mistake(12):
            given["workspace"] = self.tensor(workspace_arena, self.dims(), "u8")
        if self.mistake(30):
            given["stream"] = self.random.choice(STREAMS)
        return given

    def one(self):
        """"ok", or the kind of the error."""
        op = self.random.choice(OPS)
        shape = self.dims()
        parameters = inspect.signature(op.__init__).parameters
        shared = ("element", "shape", "dest", "start", "end", "op")
        fields = {name: self.field(name, parameter.annotation, shape) for name, parameter in parameters.items()
                  if name not in ("self", "device", "num_threads", "preference")
                  and (name in shared or parameter.default is parameter.empty or self.mistake(6))}
        if op is baracuda.KvCacheAppend and self.random.random() < 0.7:
            fields.update(layout="contiguous", num_sequences=2, max_seq_len=3, num_tokens=1, num_pages=0, page_size=0)
        before = [bytes(arena) for arena in self.arenas]
        try:
            plan = op(**fields, **self.where())
            element = fields.get("element", "f32")
            tensors = {}
            arguments = [name for name in inspect.signature(op.bind).parameters
                         if name not in ("self", "workspace", "stream")]
            for i, name in enumerate(arguments):
                if name in ("s0", "s1"):
                    if self.mistake(4):
                        tensors[name] = self.random.choice((0.5, 1, float("nan"), float("inf"), "a", 2**2000))
                    continue
                optional = inspect.signature(op.bind).parameters[name].default is None
                if self.random.random() < (0.5 if optional else 0.97):
                    tensors[name] = self.tensor(self.arenas[i], *self.wanted(op, name, fields, shape, element))
            call = plan.bind(**tensors, **self.with_what(self.arenas[-1]))
            call()
            call()
            self.compare_with_scalar(op, fields, tensors, before)
            return "ok"
        except EXPECTED as error:
            for arena, was in zip(self.arenas, before):
                assert bytes(arena) == was, (fields, error)
            assert OURS.search(str(error)) or not isinstance(error, (baracuda.Error, TypeError)), repr(error)
            return type(error).__name__

    def compare_with_scalar(self, op, fields, tensors, before):
        """What is right is what the plan for no vectors gives, bit by bit, at two runs, too."""
        given = [bytes(arena) for arena in self.arenas]
        for arena, was in zip(self.arenas, before):
            arena[:] = was
        scalar = op(**fields, preference=baracuda.Preference(force_cpu_target="scalar")).bind(**tensors)
        scalar()
        scalar()
        assert given == [bytes(arena) for arena in self.arenas], fields

    def wanted(self, op, name, fields, shape, element):
        """Shape and element that an argument should have, most often."""
        if name in ("scale", "zero_point", "status", "weight_scale", "bias"):
            rows = 1 if op is not baracuda.DynamicRangeQuantize else math.prod(shape[:-1])
            return (rows,), "i32" if name in ("zero_point", "status") else "f32"
        if name == "q":
            return shape, fields.get("q_element", fields.get("output_element", "i8"))
        if name == "output":
            return shape, fields.get("output") or element
        if name in ("positions", "device_starts"):
            return (2 if name == "positions" else len(shape),), "i64"
        if op is baracuda.KvCacheAppend:
            dim = fields.get("v_head_dim" if name[0] == "v" else "k_head_dim", 0)
            sizes = (2, 3 if "cache" in name else 1, fields.get("num_kv_heads", 0), dim)
            return tuple(size if isinstance(size, int) and 0 <= size < 5 else 1 for size in sizes), element
        return shape, element


class Misuse(unittest.TestCase):
    def test_random_calls(self):
        counts = collections.Counter()
        for i in range(6000):
            with self.subTest(seed=SEED + i):
                counts[Fuzzer(SEED + i).one()] += 1
        # None of them is rare: all kinds of mistakes have been made, and what is right was.
        for kind in ("ok", "InvalidProblem", "Unsupported", "TypeError", "MisalignedOperand"):
            self.assertLess(20, counts[kind], counts)


if __name__ == "__main__":
    unittest.main()
