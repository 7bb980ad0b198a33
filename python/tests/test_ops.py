"""Every op from numpy: each argument reaches its place, and what comes back is what the formula says."""

import ast
import inspect
import pathlib
import unittest

import baracuda
import numpy as np


def random(shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Ops(unittest.TestCase):
    def test_write_slice(self):
        dest, source = np.zeros((4, 6), np.float32), random((2, 4))
        plan = baracuda.WriteSlice(element="f32", dest=(4, 6), start=(1, 2), end=(3, 6))
        plan(dest=dest, source=source)
        expected = np.zeros((4, 6), np.float32)
        expected[1:3, 2:6] = source
        np.testing.assert_array_equal(dest, expected)

    def test_write_slice_at_a_position_that_is_read_when_it_runs(self):
        dest, status = np.zeros(8, np.int16), np.full(1, 7, np.int32)
        starts = np.array([5], np.int64)
        call = baracuda.WriteSlice(element="i16", dest=[8], start=[0], end=[2], device_starts=True).bind(
            dest=dest, source=np.array([1, 2], np.int16), device_starts=starts, status=status)
        call()
        self.assertEqual(([0, 0, 0, 0, 0, 1, 2, 0], [0]), (dest.tolist(), status.tolist()))
        starts[0] = 7
        call()
        self.assertEqual(([0, 0, 0, 0, 0, 1, 2, 0], [1]), (dest.tolist(), status.tolist()))

    def test_kv_cache_append(self):
        k, v = random((2, 3, 2, 4), 1), random((2, 3, 2, 5), 2)
        k_cache, v_cache = np.zeros((2, 8, 2, 4), np.float32), np.zeros((2, 8, 2, 5), np.float32)
        plan = baracuda.KvCacheAppend(element="f32", num_tokens=3, num_kv_heads=2, k_head_dim=4, v_head_dim=5,
                                      num_sequences=2, max_seq_len=8)
        plan(k=k, v=v, k_cache=k_cache, v_cache=v_cache, positions=np.array([5, -1]))
        np.testing.assert_array_equal(k_cache[0, 5:], k[0])
        np.testing.assert_array_equal(v_cache[0, 5:], v[0])
        self.assertFalse(k_cache[1].any() or v_cache[1].any() or k_cache[0, :5].any())

    def test_elementwise(self):
        x, y, output = random((3, 4)), random(4, 2), np.empty((3, 4), np.float32)
        baracuda.Elementwise(op="sub", shape=(3, 4))(x=x, y=y, output=output)
        np.testing.assert_array_equal(output, x - y)
        baracuda.Elementwise(op="leaky_relu", shape=(3, 4))(x=x, output=output, s0=0.5)
        np.testing.assert_array_equal(output, np.where(x < 0, x / 2, x))
        baracuda.Elementwise(op="where", shape=(3, 4))(x=x > 0, y=y, z=x, output=output)
        np.testing.assert_array_equal(output, np.where(x > 0, y, x))
        integers = np.empty((3, 4), np.int8)
        baracuda.Elementwise(op="cast", output="i8", shape=(3, 4))(x=100 * x, output=integers)
        np.testing.assert_array_equal(integers, np.clip(100 * x, -128, 127).astype(np.int8))

    def test_quantize_dequantize_and_fake_quantize(self):
        x = 4 * random((3, 5))
        scale, zero_point = np.array([0.5, 0.25, 0.125], np.float32), np.array([1, 0, -3], np.int32)
        q, back, fake = np.empty((3, 5), np.int8), np.empty_like(x), np.empty_like(x)
        fields = dict(shape=(3, 5), granularity="per_channel", axis=0, zero_point_element="i32")
        levels = np.clip(np.rint(x / scale[:, None]) + zero_point[:, None], -20, 20)
        baracuda.Quantize(**fields, q_min=-20, q_max=20)(x=x, scale=scale, zero_point=zero_point, q=q)
        np.testing.assert_array_equal(q, levels)
        baracuda.Dequantize(**fields)(q=q, scale=scale, zero_point=zero_point, x=back)
        np.testing.assert_array_equal(back, (levels - zero_point[:, None]) * scale[:, None])
        baracuda.FakeQuantize(**fields, q_min=-20, q_max=20)(x=x, scale=scale, zero_point=zero_point, y=fake)
        np.testing.assert_array_equal(fake, back)

        dy, dx = random((3, 5), 2), np.empty_like(x)
        baracuda.FakeQuantizeBackward(**fields, q_min=-20, q_max=20)(x=x, dy=dy, scale=scale, zero_point=zero_point,
                                                                    dx=dx)
        unclamped = np.rint(x / scale[:, None]) + zero_point[:, None]
        self.assertTrue((unclamped != levels).any())
        np.testing.assert_array_equal(dx, np.where(unclamped == levels, dy, 0))

    def test_dynamic_range_quantize(self):
        x, q, scale = random((3, 5)), np.empty((3, 5), np.int8), np.empty(3, np.float32)
        baracuda.DynamicRangeQuantize(shape=(3, 5))(x=x, q=q, scale=scale)
        np.testing.assert_array_equal(scale, np.abs(x).max(axis=1) / np.float32(127))
        np.testing.assert_array_equal(q, np.rint(x / scale[:, None]))
        zero_point = np.empty(3, np.int32)
        baracuda.DynamicRangeQuantize(shape=(3, 5), symmetric=False, output_element="u8")(
            x=x, q=q.view(np.uint8), scale=scale, zero_point=zero_point)
        np.testing.assert_allclose((q.view(np.uint8) - zero_point[:, None]) * scale[:, None], x, atol=scale.max())

    def test_quantized_linear(self):
        x, bias = random((3, 8)), random(4, 2)
        weight = np.random.default_rng(3).integers(-128, 128, (4, 8), np.int8)
        weight_scale = np.array([1, 2, 3, 4], np.float32) / 64
        y, act_q, act_scale = np.empty((3, 4), np.float32), np.empty((3, 8), np.int8), np.empty(3, np.float32)
        plan = baracuda.QuantizedLinear(m=3, c_out=4, k=8, bias_element="f32", activation="relu")
        plan(x=x, weight=weight, weight_scale=weight_scale, bias=bias, y=y, act_q_scratch=act_q,
             act_scale_scratch=act_scale)
        products = (act_q.astype(np.int32) @ weight.T.astype(np.int32)).astype(np.float32)
        expected = products * (act_scale[:, None] * weight_scale) + bias
        self.assertTrue((expected < 0).any() and (expected > 0).any())
        np.testing.assert_array_equal(y, np.maximum(expected, 0))

    def test_every_op_is_tested_here(self):
        tests = "".join(inspect.getsource(test) for name, test in vars(Ops).items() if name.startswith("test_"))
        ops = [name for name, value in vars(baracuda).items()
               if isinstance(value, type) and issubclass(value, baracuda.Plan) and value is not baracuda.Plan]
        self.assertLessEqual(9, len(ops))
        self.assertEqual([], [name for name in ops if f"baracuda.{name}(" not in tests])


class Stubs(unittest.TestCase):
    def test_the_extension_module_has_what_its_stub_says(self):
        """The rest of the package is Python, typed where it stands."""
        from baracuda import _native

        def stated(body):
            return {node.name if hasattr(node, "name") else node.target.id for node in body
                    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AnnAssign))}

        def has(thing):
            return {name for name in vars(thing) if not name.startswith("__")}

        stub = ast.parse((pathlib.Path(_native.__file__).parent / "_native.pyi").read_text())
        self.assertEqual(has(_native), stated(stub.body))
        for node in stub.body:
            if isinstance(node, ast.ClassDef):
                in_stub = {name for name in stated(node.body) if not name.startswith("__")}
                self.assertEqual(has(getattr(_native, node.name)), in_stub)


class Plans(unittest.TestCase):
    def test_what_a_plan_tells_of_itself(self):
        plan = baracuda.WriteSlice(element="u8", dest=(4,), start=(1,), end=(3,))
        self.assertTrue(plan.sku.startswith("write_slice/u8/-/-/"), plan.sku)
        self.assertIn("bit-stable", plan.guarantee)
        self.assertIn("candidates\n", plan.explain())
        self.assertEqual(("cpu", 0, False), (plan.device, plan.workspace_size, plan.workspace_must_be_zero))
        self.assertIn("WriteSlice write_slice/u8", repr(plan))

    def test_a_call_tells_its_kernel(self):
        plan = baracuda.WriteSlice(element="f32", dest=(4, 64), start=(0, 0), end=(2, 64))
        source = np.zeros((2, 64), np.float32)
        self.assertEqual(plan.sku, plan.bind(dest=np.zeros((4, 64), np.float32), source=source).sku)
        strided = np.zeros((4, 128), np.float32)[:, ::2]
        self.assertNotEqual(plan.sku, plan.bind(dest=strided, source=source).sku)

    def test_elements_may_be_dtypes(self):
        for dtype, element in ((np.float32, "f32"), (np.dtype("uint16"), "u16"), (np.bool_, "bool"), (np.int8, "i8"),
                               (np.dtype("complex128"), "complex128")):
            plan = baracuda.WriteSlice(element=dtype, dest=(4,), start=(1,), end=(3,))
            self.assertEqual(element, plan.sku.split("/")[1])

        class TorchDtype:
            def __str__(self):
                return "torch.bfloat16"

        self.assertIn("/bf16/", baracuda.WriteSlice(element=TorchDtype(), dest=(4,), start=(1,), end=(3,)).sku)

    def test_preference(self):
        fields = dict(element="f32", dest=(4, 6), start=(1, 2), end=(3, 6))
        scalar = baracuda.WriteSlice(**fields, preference=baracuda.Preference(force_cpu_target="scalar"))
        self.assertIn("code       scalar\n", scalar.explain())
        baracuda.WriteSlice(**fields, preference=baracuda.Preference(determinism="matches_cpu", max_workspace_bytes=0))
        for preference in (baracuda.Preference(exclude_backends={"bespoke"}),
                           baracuda.Preference(force_arch="sm90a")):
            with self.assertRaises(baracuda.Unsupported):
                baracuda.WriteSlice(**fields, preference=preference)
        for determinism in ("total", 1, []):
            with self.assertRaisesRegex(baracuda.InvalidProblem, "determinism is .*, expected one of any, run_to_run"):
                baracuda.WriteSlice(**fields, preference=baracuda.Preference(determinism=determinism))

    def test_sets_of_a_preference(self):
        fields = dict(element="f32", dest=(4, 6), start=(1, 2), end=(3, 6))
        for names in (None, (), [], {"cublas"}):
            baracuda.WriteSlice(**fields, preference=baracuda.Preference(exclude_backends=names))
        for names in ([None], [0], [[]], ("cublas", "bespoke ")):
            with self.assertRaisesRegex(baracuda.InvalidProblem, "Preference: exclude_backends is .*, expected one of "):
                baracuda.WriteSlice(**fields, preference=baracuda.Preference(exclude_backends=names))
        for names in (5, "bespoke"):
            with self.assertRaisesRegex(TypeError, "Preference: exclude_backends must be a collection of names, not "):
                baracuda.WriteSlice(**fields, preference=baracuda.Preference(exclude_backends=names))

    def test_what_is_no_preference(self):
        for preference in ({}, 0, "", (), {"determinism": "any"}, baracuda.Preference):
            with self.assertRaisesRegex(TypeError, "Elementwise: preference must be a Preference, not "):
                baracuda.Elementwise(op="neg", shape=(4,), preference=preference)

    def test_optional_fields_are_unset_by_none(self):
        x, scale = np.full(1, 1000, np.float32), np.ones(1, np.float32)
        for q_max, expected in ((None, 127), (0, 0), (5, 5)):
            q = np.zeros(1, np.int8)
            baracuda.Quantize(shape=(1,), q_max=q_max)(x=x, scale=scale, q=q)
            self.assertEqual(expected, q[0])

    def test_thread_counts(self):
        x, output = random((1000, 100)), np.empty((1000, 100), np.float32)
        for num_threads in (1, 2, 0):
            baracuda.Elementwise(op="neg", shape=x.shape, num_threads=num_threads)(x=x, output=output)
            np.testing.assert_array_equal(output, -x)
        for num_threads in (None, "2", 1.5):
            with self.assertRaisesRegex(TypeError, "Elementwise: num_threads must be an integer, not "):
                baracuda.Elementwise(op="neg", shape=x.shape, num_threads=num_threads)
        with self.assertRaisesRegex(baracuda.InvalidProblem, "num_threads is 2147483648, expected one of 32 bits"):
            baracuda.Elementwise(op="neg", shape=x.shape, num_threads=2**31)

    def test_devices(self):
        self.assertGreaterEqual(baracuda.num_cuda_devices(), 0)
        fields = dict(element="f32", dest=(4,), start=(1,), end=(3,))
        for device in ("gpu", "cuda:", "cpu:0", "cuda:-1", None):
            with self.assertRaisesRegex(ValueError, "expected 'cpu', 'cuda' or 'cuda:N'"):
                baracuda.WriteSlice(**fields, device=device)
        with self.assertRaises(baracuda.Error):
            baracuda.WriteSlice(**fields, device="cuda:99")


if __name__ == "__main__":
    unittest.main()
