"""How tensors are borrowed, kept and given back, and what is refused."""

import gc
import sys
import threading
import unittest
import weakref

import baracuda
import numpy as np
from producer import CPU, CUDA, CUDA_HOST, CUDA_MANAGED, IS_COPIED, PADDED, READ_ONLY, ROCM, Producer


def copy_plan(num_elements=4, element="f32"):
    return baracuda.WriteSlice(element=element, dest=(num_elements,), start=(0,), end=(num_elements,))


class Borrowing(unittest.TestCase):
    def setUp(self):
        self.dest, self.source = np.zeros(4, np.float32), np.arange(4, dtype=np.float32)

    def lender(self, array, **what):
        return Producer(array.ctypes.data, array.shape, **what)

    def test_both_forms_of_the_capsule(self):
        for versioned in (True, False):
            self.dest[:] = -1
            copy_plan()(dest=self.lender(self.dest, versioned=versioned),
                        source=self.lender(self.source, versioned=versioned, byte_offset=0))
            np.testing.assert_array_equal(self.dest, self.source)

    def test_byte_offset_and_strides(self):
        memory = np.arange(12, dtype=np.float32)
        copy_plan()(dest=self.dest, source=Producer(memory.ctypes.data, (4,), (-3,), byte_offset=4 * 10))
        np.testing.assert_array_equal(self.dest, [10, 7, 4, 1])

    def test_memory_is_kept_while_it_is_bound_and_given_back_then(self):
        for versioned in (True, False):
            dest, source = (self.lender(array, versioned=versioned) for array in (self.dest, self.source))
            call = copy_plan().bind(dest=dest, source=source)
            self.assertEqual((1, 1), (dest.lent, source.lent))
            call()
            del call
            self.assertEqual((0, 0), (dest.lent, source.lent))

    def test_memory_is_given_back_after_an_error(self):
        dest, source = self.lender(self.dest), Producer(self.source.ctypes.data, (3,))
        with self.assertRaises(baracuda.InvalidProblem):
            copy_plan().bind(dest=dest, source=source)
        self.assertEqual((0, 0), (dest.lent, source.lent))
        with self.assertRaises(TypeError):
            copy_plan().bind(dest=dest, source=7)
        self.assertEqual(0, dest.lent)

    def test_arrays_live_as_long_as_the_call(self):
        class Array(np.ndarray):
            pass

        source = self.source.view(Array)
        alive = weakref.ref(source)
        call = copy_plan().bind(dest=self.dest, source=source)
        del source
        gc.collect()
        self.assertIsNotNone(alive())
        call()
        np.testing.assert_array_equal(self.dest, self.source)
        del call
        gc.collect()
        self.assertIsNone(alive())

    def test_nothing_leaks(self):
        plan, count = copy_plan(), sys.getrefcount(self.source)
        for _ in range(1000):
            plan(dest=self.dest, source=self.source)
            with self.assertRaises(baracuda.Unsupported):
                plan(dest=self.dest, source=np.zeros(4, np.int32))
        self.assertEqual(count, sys.getrefcount(self.source))

    def test_a_call_outlives_its_plan(self):
        plan = copy_plan()
        call = plan.bind(dest=self.dest, source=self.source)
        del plan
        call()
        np.testing.assert_array_equal(self.dest, self.source)

    def test_a_call_in_many_threads(self):
        plan = copy_plan(100_000)
        source = np.arange(100_000, dtype=np.float32)
        dests = [np.zeros_like(source) for _ in range(8)]

        def run(dest):
            call = plan.bind(dest=dest, source=source)
            for _ in range(20):
                call()

        threads = [threading.Thread(target=run, args=(dest,)) for dest in dests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for dest in dests:
            np.testing.assert_array_equal(dest, source)

    def test_no_copies_are_asked_for(self):
        source = self.lender(self.source)
        copy_plan()(dest=self.dest, source=source)
        self.assertEqual({"max_version": (1, 1), "copy": False}, source.asked)

    def test_pinned_memory_serves_on_the_cpu(self):
        lender = self.lender(self.source, device=(CUDA_HOST, 0))
        copy_plan()(dest=self.dest, source=lender)
        self.assertNotIn("stream", lender.asked)
        np.testing.assert_array_equal(self.dest, self.source)

    def test_what_python_refers_to_is_collected(self):
        class Array(np.ndarray):
            pass

        cycle = self.source.view(Array)
        cycle.view_of_it = baracuda.view(cycle, "f32")
        copy_plan()(dest=self.dest, source=cycle.view_of_it)
        alive = weakref.ref(cycle)
        del cycle
        gc.collect()
        self.assertIsNone(alive())


class Refused(unittest.TestCase):
    def setUp(self):
        self.dest, self.source = np.zeros(4, np.float32), np.arange(4, dtype=np.float32)

    def refuses(self, error, message, **tensors):
        with self.assertRaisesRegex(error, message):
            copy_plan().bind(**{"dest": self.dest, "source": self.source, **tensors})

    def test_read_only(self):
        self.source.flags.writeable = False
        copy_plan()(dest=self.dest, source=self.source)
        np.testing.assert_array_equal(self.dest, self.source)
        self.dest.flags.writeable = False
        self.refuses(baracuda.InvalidProblem, "WriteSlice: dest is written, but the ndarray given is read-only",
                     dest=self.dest)

    def test_flags_of_dlpack(self):
        data = self.source.ctypes.data
        for flags, error in ((READ_ONLY, "read-only"), (IS_COPIED, "lends a copy")):
            lender = Producer(data, (4,), flags=flags)
            self.refuses(baracuda.InvalidProblem, error, dest=lender)
            self.assertEqual(0, lender.lent)
            copy_plan().bind(dest=self.dest, source=lender)
        padded = Producer(data, (4,), code=0, bits=4, flags=PADDED)
        self.refuses(baracuda.Unsupported, "source has elements of 4 bits padded to bytes", source=padded)

    def test_another_major_version(self):
        lender = Producer(self.source.ctypes.data, (4,), major=2)
        self.refuses(baracuda.Unsupported, "source comes as DLPack 2, version 1 is understood", source=lender)
        self.assertEqual(0, lender.lent)

    def test_no_tensors(self):
        self.refuses(TypeError, "WriteSlice: source is a list, which has no __dlpack__", source=[1, 2, 3, 4])
        self.refuses(baracuda.InvalidProblem, "source", source=None)
        self.refuses(TypeError, "no DLPack capsule", source=Producer(0, (4,), name=b"used_dltensor"))

    def test_a_class_whose_name_is_what_it_likes(self):
        for name in (2**100, b"a", [], {}, None, 1.5):
            metaclass = type("Meta", (type,), {"__name__": property(lambda self, name=name: name)})
            self.refuses(TypeError, "WriteSlice: source is a Named, which has", source=metaclass("Named", (), {})())
            liar = metaclass("Named", (Producer,), {})(self.dest.ctypes.data, (4,), flags=READ_ONLY)
            self.refuses(baracuda.InvalidProblem, "but the Named given is read-only", dest=liar)

    def test_a_repr_that_raises(self):
        class Shy:
            def __repr__(self):
                raise KeyError("no repr")

        with self.assertRaisesRegex(KeyError, "no repr"):
            baracuda.WriteSlice(element="f32", dest=Shy(), start=(0,), end=(4,))

    def test_arrays_of_jax_are_not_written(self):
        """Which lend themselves without a flag that tells so."""
        for module in ("jaxlib._jax", "jax._src.array"):
            array = type("ArrayImpl", (Producer,), {"__module__": module})(self.source.ctypes.data, (4,))
            copy_plan()(dest=self.dest, source=array)
            np.testing.assert_array_equal(self.dest, self.source)
            for dest in (array, baracuda.view(array, "f32")):
                self.refuses(baracuda.InvalidProblem, "WriteSlice: dest is written, but the ArrayImpl given is jax's",
                             dest=dest)
            self.assertEqual(0, array.lent)

    def test_what_the_producer_raises(self):
        class Raises:
            def __dlpack_device__(self):
                return CPU, 0

            def __dlpack__(self, **keywords):
                raise BufferError("not today")

        self.refuses(BufferError, "not today", source=Raises())

        class Broken(Raises):
            def __dlpack__(self, max_version=None, copy=None):
                return None + (1 if max_version else "one")

        with self.assertRaisesRegex(TypeError, "str") as raised:  # asked as before DLPack 1.0
            copy_plan().bind(dest=self.dest, source=Broken())
        self.assertRegex(str(raised.exception.__context__), "'NoneType' and 'int'")  # what it said at first
        for device in (None, (), ("cpu", 0)):
            raises = Raises()
            raises.__dlpack_device__ = None
            Raises.__dlpack_device__ = lambda self: device
            self.refuses((TypeError, IndexError), "", source=raises)

    def test_element(self):
        for array in (np.zeros(4, np.float64), np.zeros(4, np.int32), np.zeros(4, ">f4")):
            self.refuses((baracuda.Unsupported, BufferError), "", source=array)
        for dtype in ((2, 32, 4), (2, 33, 1), (9, 8, 1), (255, 255, 65535)):
            code, bits, lanes = dtype
            lender = Producer(self.source.ctypes.data, (4,), code=code, bits=bits, lanes=lanes)
            self.refuses(baracuda.Unsupported, "WriteSlicePlan|write_slice", source=lender)

    def test_device(self):
        for device in ((CUDA, 0), (CUDA, -1), (CUDA, 2**31), (CUDA_MANAGED, -1), (ROCM, 0), (77, 0), (-5, 0)):
            lender = Producer(self.source.ctypes.data, (4,), device=device)
            self.refuses(baracuda.InvalidProblem, "source", source=lender)

    def test_shapes(self):
        data = self.source.ctypes.data
        for shape, strides in (((3,), None), ((2, 2), None), ((-4,), None), ((2**62, 4), None), ((4,), (2**62,)),
                               ((), None)):
            self.refuses(baracuda.InvalidProblem, "source", source=Producer(data, shape, strides))
        for ndim in (-1, 9, 2**31 - 1):
            self.refuses(baracuda.Error, "source", source=Producer(data, (1,) * 9, ndim=ndim))

    def test_null(self):
        self.refuses(baracuda.InvalidProblem, "source", source=Producer(None, (4,)))

    def test_misaligned(self):
        memory = np.zeros(20, np.uint8)
        self.refuses(baracuda.MisalignedOperand, "source", source=Producer(memory.ctypes.data + 1, (4,)))

    def test_overlap(self):
        self.refuses(baracuda.InvalidProblem, "overlap", source=self.dest)

    def test_names(self):
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'src'"):
            copy_plan().bind(dest=self.dest, src=self.source)
        with self.assertRaises(TypeError):
            copy_plan().bind(self.dest, self.source)

    def test_streams_are_of_gpus(self):
        with self.assertRaisesRegex(baracuda.InvalidProblem, "WriteSlice: stream is given, but a plan for the CPU"):
            copy_plan().bind(dest=self.dest, source=self.source, stream=0)

    def test_fields(self):
        for fields, message in ((dict(dest=4), "WriteSlice: dest must be a sequence of integers of 64 bits, not 4"),
                                (dict(dest=(2.5,)), "WriteSlice: dest must be"),
                                (dict(dest=(2**64,)), "WriteSlice: dest must be"),
                                (dict(start="a"), "WriteSlice: start must be")):
            with self.assertRaisesRegex(TypeError, message):
                baracuda.WriteSlice(**{**dict(element="f32", dest=(4,), start=(0,), end=(4,)), **fields})
        with self.assertRaisesRegex(baracuda.InvalidProblem, "WriteSlice: element is 'f33', expected one of f16, bf16"):
            copy_plan(element="f33")
        with self.assertRaisesRegex(baracuda.InvalidProblem, "descriptor.op is \"gelo\""):
            baracuda.Elementwise(op="gelo", shape=(4,))
        for op in ("relu\0", "relu\ud800"):
            with self.assertRaises(ValueError):
                baracuda.Elementwise(op=op, shape=(4,))
        with self.assertRaises(baracuda.InvalidProblem):
            baracuda.Elementwise(op="é" * 100_000, shape=(4,))
        with self.assertRaises(baracuda.Unsupported):
            baracuda.WriteSlice(dest=(1,) * 9, start=(0,) * 9, end=(1,) * 9)


class Errors(unittest.TestCase):
    def test_kinds(self):
        from baracuda import _errors

        kinds = [kind for kind in vars(_errors).values() if isinstance(kind, type)]
        self.assertIn(baracuda.Io, kinds)
        for kind in kinds:
            self.assertIs(getattr(baracuda, kind.__name__), kind)
            self.assertTrue(issubclass(kind, baracuda.Error))

    def test_needed_and_got(self):
        error = baracuda.WorkspaceTooSmall("so it is", 8, 4)
        self.assertEqual(("so it is", 8, 4, 0), (str(error), error.needed, error.got, error.code))
        x, scale = np.zeros((3, 5), np.float32), np.zeros(2, np.float32)
        plan = baracuda.QuantizedLinear(m=3, c_out=4, k=5)
        with self.assertRaises(baracuda.BufferTooSmall) as raised:
            plan(x=x, weight=np.zeros((4, 5), np.int8), weight_scale=np.zeros(4, np.float32),
                 y=np.zeros((3, 4), np.float32), act_q_scratch=np.zeros((3, 5), np.int8), act_scale_scratch=scale)
        self.assertEqual((12, 8), (raised.exception.needed, raised.exception.got))


class Views(unittest.TestCase):
    ELEMENTS = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "u8": 1, "u16": 2,
                "u32": 4, "u64": 8, "bool": 1, "f8e4m3": 1, "f8e5m2": 1, "complex64": 8, "complex128": 16}

    def test_every_element_of_whole_bytes(self):
        for element, size in self.ELEMENTS.items():
            dtype = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64, 16: np.complex128}[size]
            dest, source = np.zeros(4, dtype), np.arange(4).astype(dtype)
            copy_plan(element=element)(dest=baracuda.view(dest, element), source=baracuda.view(source, element))
            np.testing.assert_array_equal(dest, source)

    def test_pairs(self):
        dest = np.zeros((2, 2), np.uint8)
        plan = baracuda.WriteSlice(element="u4", dest=(2, 4), start=(0, 1), end=(2, 3))
        source = np.array([[0x21], [0x43]], np.uint8)
        plan(dest=baracuda.view(dest, "u4"), source=baracuda.view(source, "u4"))
        self.assertEqual([[0x10, 0x02], [0x30, 0x04]], dest.tolist())

    def test_pairs_with_gaps_between_rows(self):
        memory = np.zeros((2, 5), np.uint8)
        plan = baracuda.WriteSlice(element="u4", dest=(2, 4), start=(0, 0), end=(2, 4))
        plan(dest=baracuda.view(memory[:, 1:3], "u4"), source=baracuda.view(np.full((2, 2), 0x53, np.uint8), "u4"))
        self.assertEqual([[0, 0x53, 0x53, 0, 0]] * 2, memory.tolist())

    def test_a_shape_that_ends_within_a_byte(self):
        dest = np.zeros(5, np.uint8)
        plan = baracuda.WriteSlice(element="s4", dest=(3, 3), start=(1, 0), end=(2, 3))
        plan(dest=baracuda.view(dest, "s4", (3, 3)), source=baracuda.view(np.array([0x21, 0x03], np.uint8), "s4", (1, 3)))
        self.assertEqual([0, 0x10, 0x32, 0, 0], dest.tolist())

    def test_what_cannot_be_viewed_so(self):
        with self.assertRaisesRegex(ValueError, "element is 'q4_0', expected one of"):
            baracuda.view(np.zeros(4, np.uint8), "q4_0")
        for code, bits in ((258, 8), (0, 264), (-1, 8)):
            with self.assertRaises(TypeError):
                type(baracuda.view(np.zeros(4, np.uint8), "u8"))(np.zeros(4, np.uint8), code, bits, None)
        plan = baracuda.WriteSlice(element="u4", dest=(3, 3), start=(0, 0), end=(1, 3))
        good = baracuda.view(np.zeros(2, np.uint8), "u4", (1, 3))
        bytes_of = lambda *shape: np.zeros(shape, np.uint8)
        for view, message in ((baracuda.view(bytes_of(4), "u4", (3, 3)), "it has 4$"),
                              (baracuda.view(bytes_of(6), "u4", (3, 3)), "it has 6$"),
                              (baracuda.view(bytes_of(10)[::2], "u4", (3, 3)), "gaps"),
                              (baracuda.view(bytes_of(5), "u4", (-3, -3)), "shape of"),
                              (baracuda.view(bytes_of(4, 4)[:, ::2], "u4"), "neighbours"),
                              (baracuda.view(bytes_of(), "u4"), "neighbours"),
                              (baracuda.view(np.zeros(5, np.int16), "u4"), "16 bits, which cannot be read as ones of 4"),
                              (baracuda.view(bytes_of(4), "f32"), "8 bits, which cannot be read as ones of 32"),
                              (baracuda.view(bytes_of(4), "i8", (4,)), "which only 4-bit elements have"),
                              (baracuda.view(Producer(8, (2**62,), bits=8, code=1), "u4"), "2\\^63 elements"),
                              (baracuda.view(Producer(8, (1,), ndim=-1, bits=8, code=1), "u4"), "-1"),
                              (baracuda.view(Producer(8, (1,) * 99, bits=8, code=1), "u4"), "99")):
            with self.assertRaisesRegex(baracuda.Error, message):
                plan.bind(dest=view, source=good)
        read_only = bytes_of(5)
        read_only.flags.writeable = False
        with self.assertRaisesRegex(baracuda.InvalidProblem, "read-only"):
            plan.bind(dest=baracuda.view(read_only, "u4", (3, 3)), source=good)
        with self.assertRaisesRegex(TypeError, "source is a str"):
            plan.bind(dest=baracuda.view(bytes_of(5), "u4", (3, 3)), source=baracuda.view("abc", "u4"))


class Workspaces(unittest.TestCase):
    """No op of today needs one, so that what is given counts for nothing but has to be in order."""

    def bind(self, workspace):
        return copy_plan().bind(dest=np.zeros(4, np.float32), source=np.zeros(4, np.float32), workspace=workspace)

    def test_given(self):
        lender = Producer(np.zeros(64, np.uint8).ctypes.data, (64,), code=1, bits=8)
        call = self.bind(lender)
        call()
        self.assertEqual(1, lender.lent)
        del call
        self.assertEqual(0, lender.lent)

    def test_refused(self):
        read_only = np.zeros(4, np.uint8)
        read_only.flags.writeable = False
        with self.assertRaisesRegex(TypeError, "WriteSlice: workspace is a int"):
            self.bind(7)
        of_bytes = dict(code=1, bits=8)
        for workspace in (read_only, np.zeros(8, np.uint8)[::2], Producer(8, (2**62, 4)), Producer(8, (4,), ndim=-1),
                          *(Producer(8, (4,), device=device) for device in ((CUDA, 0), (ROCM, 0), (77, 0), (-5, 0))),
                          Producer(4096, ((1 << 44) - 1,), code=1, bits=255, lanes=65535),
                          Producer(4096, ((1 << 44) - 1,), code=1, bits=248, lanes=65535),
                          Producer(4096, (4,), lanes=2), Producer(4096, (4,), code=1, bits=4),
                          Producer(4096, (2**61,), bits=64), Producer(None, (4,), **of_bytes),
                          Producer(2**64 - 4096, (2**40,), **of_bytes),
                          Producer(4096, (4,), byte_offset=2**64 - 8, **of_bytes)):
            with self.assertRaisesRegex(baracuda.InvalidProblem, "WriteSlice: workspace is"):
                self.bind(workspace)

    def test_pinned(self):
        self.bind(Producer(np.zeros(64, np.uint8).ctypes.data, (64,), code=1, bits=8, device=(CUDA_HOST, 0)))()


if __name__ == "__main__":
    unittest.main()
