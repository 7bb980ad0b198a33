"""The tool's commands: output, exit status, bad input. BARACUDA_TEST_BUILD says whose."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import support

OPS = ("dequantize", "dynamic_range_quantize", "elementwise", "fake_quantize", "fake_quantize_backward", "kv_cache_append",
       "quantize", "quantized_linear", "write_slice")
SUCCESS, FAILURE, BAD_INPUT = 0, 1, 2


def tool(*arguments, **environment):
    return subprocess.run([support.TOOL, *arguments], capture_output=True, text=True, timeout=250,
                          env={**os.environ, **environment})


class Tool(unittest.TestCase):
    maxDiff = None

    def succeed(self, *arguments, **environment):
        result = tool(*arguments, **environment)
        self.assertEqual((SUCCESS, ""), (result.returncode, result.stderr), result.stdout)
        return result.stdout

    def read_json(self, *arguments, **environment):
        return json.loads(self.succeed(*arguments, "--json", **environment))

    def refuse(self, status, *arguments, words=(), **environment):
        """One line on stderr, and indented ones that belong to it; nothing on stdout."""
        result = tool(*arguments, **environment)
        self.assertEqual((status, ""), (result.returncode, result.stdout), result.stderr)
        self.assertTrue(result.stderr.startswith("baracuda: error: "), result.stderr)
        self.assertEqual(1, len(re.findall(r"^(?!  ).", result.stderr, re.MULTILINE)), result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def has_gpu(self):
        return bool(self.read_json("info")["gpus"])


class CommandLine(Tool):
    def test_version(self):
        self.assertRegex(self.succeed("--version"), r"^baracuda \d+\.\d+\.\d+\n$")

    def test_help_names_every_command(self):
        for command in ("info", "plans", "explain", "verify", "keys", "compile", "warm", "pack", "bench",
                        "cache"):
            self.assertIn(command, self.succeed("--help"))
            self.assertIn("--json", self.succeed(command, "--help"))

    def test_bad_usage(self):
        for arguments in ((), ("nothing",), ("info", "--color"), ("explain",), ("cache",),
                          ("cache", "nothing"), ("cache", "clear", "--json"), ("plans", "--json", "--markdown"),
                          ("keys",), ("warm",), ("warm", "-", "--arch", "sm80", "--device", "cuda"), ("pack", "-"),
                          ("pack", "-o", "x"), ("verify", "--seed", "x"), ("verify", "--seed"),
                          ("explain", "x", "--arch", "sm90a", "--device", "cpu"), ("verify", "--quick", "--case", "write_slice")):
            self.refuse(BAD_INPUT, *arguments)


    def test_a_wrong_command_is_told_which_there_are(self):
        commands = ("info", "plans", "explain", "verify", "keys", "compile", "cache")
        self.refuse(BAD_INPUT, words=commands)
        self.refuse(BAD_INPUT, "nothing", words=("'nothing'", *commands))
        self.refuse(BAD_INPUT, "cache", words=("cache: expected a command", "info", "clear"))
        self.refuse(BAD_INPUT, "cache", "nothing", words=("'nothing'", "info", "clear"))


class Info(Tool):
    def test_json(self):
        info = self.read_json("info")
        self.assertEqual(self.succeed("--version"), f"baracuda {info['version']}\n")
        self.assertEqual("scalar", info["cpu"]["targets"][0])
        self.assertGreater(info["cpu"]["threads"], 0)
        self.assertEqual(["libcuda", "libnvrtc"], [library["name"] for library in info["libraries"]])
        for library in info["libraries"]:
            self.assertEqual(library["found"], bool(library["path"] and library["version"]))
            self.assertNotEqual(library["found"], bool(library["problem"]))
        self.assertIn("BARACUDA_VERBOSE", [variable["name"] for variable in info["environment"]])
        has_kernels = info["libraries"][1]["found"] or info["kernel_packs"]
        expected = "cuda:0" if info["gpus"] and has_kernels else "cpu"
        self.assertEqual(expected, info["default_device"])

    def test_text_says_the_same(self):
        text, info = self.succeed("info"), self.read_json("info")
        for word in (info["version"], info["cpu"]["name"], info["default_device"],
                     *(gpu["name"] for gpu in info["gpus"]), *(variable["name"] for variable in info["environment"])):
            self.assertIn(word, text)


    def test_environment_as_it_is_set(self):
        values = {variable["name"]: variable["value"]
                  for variable in self.read_json("info", BARACUDA_JIT_DUMP="/tmp/d", BARACUDA_VERBOSE="")["environment"]}
        self.assertEqual(("/tmp/d", ""), (values["BARACUDA_JIT_DUMP"], values["BARACUDA_VERBOSE"]))
        self.assertRegex(self.succeed("info", BARACUDA_JIT_DUMP="/tmp/d"), r"BARACUDA_JIT_DUMP +path +set to /tmp/d ")

    def test_readme_shows_the_environment(self):
        rows = [f"| `{variable['name']}` | {variable['type']} | {variable['default'] or 'unset'} | {variable['description']} |"
                for variable in self.read_json("info")["environment"]]
        readme = (support.ROOT / "README.md").read_text()
        shown = re.search(r"<!-- environment -->\n(.*?)<!-- /environment -->", readme, re.DOTALL)
        self.assertTrue(shown, "README.md has no <!-- environment --> … <!-- /environment -->")
        self.assertEqual(["| variable | type | default | |", "|---|---|---|---|", *rows], shown[1].splitlines())


class Cache(Tool):
    """Over folders that are made here; what the library itself puts there is the unit tests' matter."""

    NAME = "op.rows.sm90a-" + 64 * "a" + ".cubin"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = {"BARACUDA_CACHE_DIR": folder.name}

    def test_empty(self):
        for folder in (self.folder, self.folder / "absent"):
            environment = {"BARACUDA_CACHE_DIR": str(folder)}
            self.assertEqual({"dir": str(folder), "max_bytes": 1 << 30, "bytes": 0, "kernels": []},
                             self.read_json("cache", "info", **environment))
            self.assertEqual(f"{folder}: 0 kernels, 0.0 MiB of 1024.0 MiB\n", self.succeed("cache", "info", **environment))
            self.assertEqual("0 files removed, 0.0 MiB\n", self.succeed("cache", "clear", **environment))
        self.assertFalse((self.folder / "absent").exists())

    def test_its_kernels_and_no_other_files(self):
        (self.folder / self.NAME).write_bytes(3000 * b"x")
        (self.folder / "notes.txt").write_text("mine")
        (self.folder / ".baracuda-tmp-0123").write_bytes(b"what a killed process left")
        info = self.read_json("cache", "info", **self.environment)
        self.assertEqual(3000, info["bytes"])
        self.assertEqual([(self.NAME, 3000, False)],
                         [(kernel["file"], kernel["bytes"], kernel["sound"]) for kernel in info["kernels"]])
        self.assertIn(self.NAME, self.succeed("cache", "info", **self.environment))
        self.assertTrue(self.succeed("cache", "clear", **self.environment).startswith("2 files removed, "))
        self.assertEqual(["notes.txt"], [path.name for path in self.folder.iterdir()])

    def test_bounds(self):
        self.assertEqual(5, self.read_json("cache", "info", BARACUDA_CACHE_MAX_BYTES="5", **self.environment)["max_bytes"])
        self.assertIn("nothing is kept", self.succeed("cache", "info", BARACUDA_CACHE_MAX_BYTES="0", **self.environment))
        nowhere = {"BARACUDA_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": ""}
        self.assertEqual("", self.read_json("cache", "info", **nowhere)["dir"])
        self.assertIn("not kept", self.succeed("cache", "info", **nowhere))
        self.succeed("cache", "clear", **nowhere)

    def test_a_folder_that_cannot_be_read(self):
        (self.folder / "file").write_text("")
        for command in ("info", "clear"):
            self.refuse(FAILURE, "cache", command, words=("file", "Not a directory"),
                        BARACUDA_CACHE_DIR=str(self.folder / "file"))

    def test_what_the_library_keeps(self):
        """Through a command that runs kernels."""
        if not self.has_gpu():
            self.skipTest("no GPU")
        case = ("verify", "--device", "cuda", "--case", " ".join(Explain.CASE))
        self.assertEqual(SUCCESS, tool(*case, **self.environment).returncode)  # stderr may tell of a long compile
        kernels = self.read_json("cache", "info", **self.environment)["kernels"]
        self.assertTrue(kernels)
        for kernel in kernels:
            self.assertTrue(kernel["sound"] and kernel["registers"] > 0 and kernel["name"].startswith("write_slice."), kernel)
        again = tool(*case, BARACUDA_VERBOSE="1", **self.environment)
        self.assertEqual((SUCCESS, ""), (again.returncode, again.stderr))  # nothing is compiled


class Plans(Tool):
    def test_json(self):
        plans = self.read_json("plans")
        self.assertEqual(set(OPS), {plan["op"] for plan in plans})
        self.assertEqual(len(plans), len({plan["sku"] for plan in plans}))
        for plan in plans:
            self.assertEqual(plan["op"], plan["sku"].split("/")[0].split(".")[0])
            self.assertEqual(7, len(plan["sku"].split("/")), plan["sku"])
            self.assertTrue(plan["summary"])
            self.assertTrue(plan["devices"] and set(plan["devices"]) <= {"cpu", "sm80", "sm89", "sm90a"}, plan)
        for op in OPS:
            self.assertEqual({"cpu", "sm80", "sm89", "sm90a"},
                             {device for plan in plans if plan["op"] == op for device in plan["devices"]})

    def test_the_tables_stand_for_every_sku(self):
        plans = self.read_json("plans")
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in self.succeed("plans", "--markdown").splitlines()[2:]]
        for plan in plans:
            for device in plan["devices"]:
                shown = [row for row in rows if row[0] == plan["op"] and self.matches(row[1].strip("`"), plan["sku"])
                         and plan["element"] in row[2].split(" → ")[0].split(", ") and device in row[3].split(", ")]
                self.assertEqual(1, len(shown), plan)
        for op in OPS:
            self.assertIn(op, self.succeed("plans"))

    @staticmethod
    def matches(pattern, sku):
        parts, epilogue = pattern.split("/"), 3  # which may hold its bias: "bias_relu:f32"
        texts = [re.escape(part).replace(r"\*", "[^/]*" if i == epilogue else "[^/:>]*") for i, part in enumerate(parts)]
        return re.fullmatch("/".join(texts), sku)

    def test_pages_show_the_tables_of_their_ops(self):
        for op in ("elementwise",):
            page = (support.ROOT / f"docs/ops/{op}.md").read_text()
            shown = re.search(r"<!-- table -->\n(.*?)<!-- /table -->", page, re.DOTALL)
            self.assertTrue(shown, f"docs/ops/{op}.md has no <!-- table --> … <!-- /table -->")
            self.assertEqual(self.succeed("plans", "--page", op), shown[1].strip("\n") + "\n")
        self.refuse(BAD_INPUT, "plans", "--page", "write_slice", words=("write_slice", "elementwise"))

    def test_readme_shows_the_table(self):
        readme = (support.ROOT / "README.md").read_text()
        shown = re.search(r"<!-- plans -->\n(.*?)<!-- /plans -->", readme, re.DOTALL)
        self.assertTrue(shown, "README.md has no <!-- plans --> … <!-- /plans -->")
        self.assertEqual(self.succeed("plans", "--markdown"), shown[1].strip("\n") + "\n")


class Explain(Tool):
    CASE = ("write_slice", "element=f32", "dest=4x1024", "start=1x0", "end=3x1024")

    def test_every_arch_without_its_device(self):
        for arch in ("cpu", "sm80", "sm89", "sm90a"):
            explanation = self.read_json("explain", *self.CASE, "--arch", arch)
            self.assertEqual(arch, explanation["arch"])
            self.assertEqual(arch, explanation["sku"].split("/")[5])
            self.assertIn(True, [candidate["accepted"] for candidate in explanation["candidates"]])
            for candidate in explanation["candidates"]:
                self.assertNotEqual(candidate["accepted"], bool(candidate["reason"]), candidate)
            self.assertEqual(0, explanation["workspace_bytes"])
            self.assertEqual(2 * 4 * 2 * 1024, explanation["bytes"])
            self.assertGreater(explanation["seconds"], 0)
            self.assertIn(explanation["sku"], self.succeed("explain", *self.CASE, "--arch", arch))

    def test_a_case_in_one_word(self):
        self.assertEqual(self.succeed("explain", *self.CASE, "--device", "cpu"),
                         self.succeed("explain", " ".join(self.CASE), "--device", "cpu"))

    def test_bad_input(self):
        for words, arguments in ((("no_such_op", *OPS), ("no_such_op", "a=1")),
                                 (("no_such_field", "expected one of"), ("write_slice", "no_such_field=1")),
                                 (("element", "f33", "bf16"), ("write_slice", "element=f33")),
                                 (("twice",), ("write_slice", "element=f32", "element=f32")),
                                 (("start",), (*self.CASE[:3], "start=3x0", "end=1x1024")),
                                 (("sm70", "sm80"), (*self.CASE, "--arch", "sm70")),
                                 (("tpu",), (*self.CASE, "--device", "tpu"))):
            self.refuse(BAD_INPUT, "explain", *arguments, words=words)


class Verify(Tool):
    LAST = r"(?:^|\n)(\d+) passed, (\d+) failed\n\Z"

    def test_quick(self):
        output = self.succeed("verify", "--quick", "--device", "cpu")
        passed, failed = map(int, re.search(self.LAST, output).groups())
        self.assertEqual(0, failed)
        counts = [int(n) for n in re.findall(r"^\w+ +cpu +(\d+) passed, 0 failed$", output, re.MULTILINE)]
        self.assertEqual((len(OPS), passed), (len(counts), sum(counts)))

    def test_json_counts_the_same(self):
        report = self.read_json("verify", "--quick", "--device", "cpu", "write_slice")
        self.assertEqual(["write_slice"], [entry["op"] for entry in report["ops"]])
        self.assertEqual(report["passed"], report["ops"][0]["passed"])
        self.assertEqual(0, report["failed"])

    def test_seeds_are_fixed(self):
        first, second = (self.succeed("verify", "--quick", "--device", "cpu", "--seed", "3") for _ in range(2))
        self.assertEqual(first, second)

    def test_one_case(self):
        output = self.succeed("verify", "--device", "cpu", "--case", " ".join(Explain.CASE))
        self.assertRegex(output, self.LAST)
        self.assertTrue(output.endswith("\n1 passed, 0 failed\n"), output)

    def test_bad_input(self):
        self.refuse(BAD_INPUT, "verify", "no_such_op", words=OPS)
        self.refuse(BAD_INPUT, "verify", "--device", "cpu", "--case", "no_such_op a=1", words=OPS)
        self.refuse(BAD_INPUT, "verify", "--device", "cpu", "--case", "write_slice element=f33", words=("element", "f33"))
        self.refuse(BAD_INPUT, "verify", "--device", "gpu", words=("gpu", "cuda"))

    def test_cases_that_there_cannot_be(self):
        write = "write_slice element=f32 dest=8x16 start=0x0 end=8x16"
        append = "kv_cache_append element=u8 num_tokens=1 num_kv_heads=1 k_head_dim=1 v_head_dim=1"
        kv = f"{append} num_sequences=2 max_seq_len=8"
        most, least = 2 ** 63 - 1, -2 ** 63
        for field, line in (("dest_misalignment is -5", f"{write} dest_misalignment=-5"),
                            ("dest_misalignment is 400", f"{write} dest_misalignment=400"),
                            ("dest_misalignment is 2", f"{write} dest_misalignment=2"),
                            ("dest_misalignment is 300",
                             "write_slice element=s4 dest=8x16 start=0x0 end=8x16 dest_misalignment=300"),
                            ("source_misalignment is 256", f"{write} source_misalignment=256"),
                            ("dest,", f"{write} dest_strides={most}x1"),
                            ("dest,", f"{write} dest_strides={least}x1"),
                            ("source,", f"{write} source_strides={most}x{least}"),
                            ("dest,", f"write_slice element=u8 dest={2 ** 40} start=0 end=1"),
                            ("dest_strides has 1 entries", f"{write} dest_strides=1"),
                            ("source_strides has 9 entries", f"{write} source_strides=1x2x3x4x5x6x7x8x9"),
                            ("dest may overlap itself", f"{write} dest_strides=0x1"),
                            ("starts has 9 entries", f"{write} device_starts=true starts=1x2x3x4x5x6x7x8x9"),
                            ("starts has 1 entries", f"{write} device_starts=true starts=0"),
                            ("starts is 1x0", f"{write} starts=1x0"),
                            ("positions,", "kv_cache_append element=u8 num_tokens=0 num_kv_heads=1 k_head_dim=1 "
                             "v_head_dim=1 num_sequences=1099511627776 max_seq_len=0"),
                            ("k_cache,", f"{append} num_sequences=1 max_seq_len={2 ** 40}"),
                            ("k,", f"{kv} k_strides={most}x1x1x1"),
                            ("v_cache,", f"{kv} v_cache_strides={least}x1x1x1"),
                            ("v_strides has 2 entries", f"{kv} v_strides=1x1"),
                            ("k_cache_misalignment is -1", f"{kv} k_cache_misalignment=-1"),
                            ("positions has 1 entries", f"{kv} positions=0"),
                            ("positions has 9 entries", f"{append} num_sequences=8 max_seq_len=8 "
                             "positions=0x0x0x0x0x0x0x0x0"),
                            ("interleaved_by is", f"{kv} interleaved_by={least}")):
            self.refuse(BAD_INPUT, "verify", "--device", "cpu", "--case", line, words=(field,))

    def test_cases_at_the_edge(self):
        for line in ("write_slice element=u8 dest=1x16 start=0x0 end=1x16 dest_strides=-9223372036854775808x1",
                     "kv_cache_append num_tokens=1 num_kv_heads=1099511627776 num_sequences=1 max_seq_len=1",
                     "kv_cache_append num_sequences=3 max_seq_len=9223372036854775807 position_mode=some_invalid",
                     "kv_cache_append layout=paged num_tokens=8 num_pages=4611686018427387904 page_size=1"):
            self.succeed("verify", "--device", "cpu", "--case", line)

    def test_cuda_is_not_passed_over_where_it_is_absent(self):
        if not self.has_gpu():
            self.refuse(FAILURE, "verify", "--quick", "--device", "cuda")


class Bench(Tool):
    CASE = "write_slice element=u8 dest=64x64 start=1x3 end=9x40"
    KV = "kv_cache_append num_tokens=1 num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_sequences=2 max_seq_len=4 status=true"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def measure(self, *arguments, device="cpu"):
        """Without a word on stderr, which is no terminal here. The text and the JSON."""
        path = self.folder / "bench.json"
        text = self.succeed("bench", *arguments, "--device", device, "--seconds", "0", "--json", str(path))
        return text, json.loads(path.read_text())

    def check(self, times):
        self.assertGreater(times["samples"], 1)
        self.assertLess(0, times["min_us"])
        for low, high in (("min_us", "p10_us"), ("p10_us", "median_us"), ("median_us", "p90_us")):
            self.assertLessEqual(times[low], times[high], times)

    def test_cases_and_lists(self):
        shapes = self.folder / "shapes.txt"
        shapes.write_text(f"# two\n{self.KV}  # a cache\n\n{self.CASE}\n")
        text, data = self.measure("--shapes", str(shapes), self.CASE)
        self.assertEqual([self.KV, self.CASE, self.CASE], [case["case"] for case in data["cases"]])
        self.assertEqual("cpu", data["device"])
        self.assertIn(f"--shapes {shapes}", data["command"])
        self.assertIn(f"'{self.CASE}'", data["command"])
        self.assertRegex(data["date"], r"^\d{4}-\d\d-\d\d$")
        self.assertTrue(data["clocks"]["absent"])
        self.assertEqual(["read", "copy", "fma f32"], [ceiling["name"] for ceiling in data["ceilings"]])
        for ceiling in data["ceilings"]:
            self.check(ceiling["time"])
            self.assertGreater(ceiling.get("gb_per_s") or ceiling["gop_per_s"], 0)
            self.assertIn(ceiling["name"], text)
        for case in data["cases"]:
            self.check(case["time"])
            self.check(case["copy"])
            self.check(case["host"]["select"])
            self.check(case["host"]["can_implement"])
            self.assertTrue(case["host"]["no_select_from_disk"])
            self.assertTrue(case["sku"].startswith(case["case"].split()[0] + "/"))
            self.assertEqual("copy", case["ceiling"])
            self.assertAlmostEqual(case["bytes"] / case["time"]["median_us"] * 1e-3, case["gb_per_s"])
            self.assertGreater(case["of_ceiling"], 0)
            self.assertGreater(case["buffers"], 1)
            self.assertIn(case["case"], text)
        self.assertEqual(2 * 8 * 37, data["cases"][1]["bytes"])

    def test_what_moves_nothing(self):
        _, data = self.measure("write_slice element=u8 dest=8 start=4 end=4")
        self.assertEqual((0, "", None), tuple(data["cases"][0][key] for key in ("bytes", "ceiling", "copy")))

    def test_on_a_gpu(self):
        if not self.has_gpu():
            self.skipTest("no GPU")
        _, data = self.measure(self.CASE, device="cuda")
        self.check(data["cases"][0]["host"]["launch"])
        self.check(data["cases"][0]["host"]["select_from_disk"])
        for ceiling in data["ceilings"]:
            self.assertNotEqual("time" in ceiling, "absent" in ceiling)

    def test_bad_input(self):
        shapes = self.folder / "shapes.txt"
        for text, words in (("", ("has no case",)), (f"{self.CASE}\nno_such_op a=1\n", ("shapes.txt:2", *OPS)),
                            ("\nwrite_slice element=f33\n", ("shapes.txt:2", "f33", "bf16"))):
            shapes.write_text(text)
            self.refuse(BAD_INPUT, "bench", "--device", "cpu", "--shapes", str(shapes), words=words)
        for words, arguments in ((("no_such_op", *OPS), ("no_such_op",)), (("no_such_op", *OPS), ("no_such_op a=1",)),
                                 (("no_such_field",), ("write_slice no_such_field=1",)),
                                 (("dest_strides",), (f"{self.CASE} dest_strides=1",)),
                                 (("absent",), ("--shapes", str(self.folder / "absent"))),
                                 (("--seconds",), ("--seconds", "-1")), (("tpu",), ("--device", "tpu"))):
            device = () if "--device" in arguments else ("--device", "cpu")
            self.refuse(BAD_INPUT, "bench", *device, *arguments, words=words)
        self.refuse(FAILURE, "bench", "--device", "cpu", "--json", str(self.folder / "no/b.json"), self.CASE,
                    words=("no/b.json",))
        self.refuse(FAILURE, "bench", "--device", "cpu", "--json", "/dev/null", self.CASE, words=("regular file",))

    def test_a_bench_that_fails_leaves_the_old_results(self):
        path = self.folder / "kept.json"
        path.write_text("old")
        # Its plan can be selected, its operands not allocated.
        self.refuse(BAD_INPUT, "bench", "--device", "cpu", "--json", str(path),
                    "write_slice element=f32 dest=10000000000000x64 start=0x0 end=1x64", words=("in one buffer",))
        self.assertEqual(("old", [path]), (path.read_text(), list(self.folder.iterdir())))


class Kernels(Tool):
    def test_keys(self):
        keys = self.read_json("keys", "--nvrtc", "13.0")
        self.assertEqual(set(OPS), set(keys["ops"]))
        for op in OPS:
            self.assertEqual(["sm80", "sm89", "sm90a"], list(keys["ops"][op]))
            for kernels in keys["ops"][op].values():
                self.assertEqual(len(kernels), len({kernel["key"] for kernel in kernels}))
                for kernel in kernels:
                    self.assertRegex(kernel["key"], "^[0-9a-f]{64}$")

    def test_keys_bad_input(self):
        for version in ("13", "13.", ".0", "13.0.1", "x"):
            self.refuse(BAD_INPUT, "keys", "--nvrtc", version, words=("13.0",))
        self.refuse(BAD_INPUT, "keys", "--nvrtc", "13.0", "--arch", "cpu", words=("sm80",))
        self.refuse(BAD_INPUT, "keys", "--nvrtc", "13.0", "no_such_op", words=OPS)

    def test_compile(self):
        arguments = ("compile", "--arch", "sm90a", "kv_cache_append")
        if not self.read_json("info")["libraries"][1]["found"]:
            self.refuse(FAILURE, *arguments)
            self.skipTest("no NVRTC")
        kernels = self.read_json(*arguments)
        self.assertEqual({"kv_cache_append"}, {kernel["op"] for kernel in kernels})
        for kernel in kernels:
            self.assertEqual(("", 0), (kernel["problem"], kernel["spill_bytes"]), kernel)
            self.assertGreater(kernel["registers"], 0)
        self.assertTrue(self.succeed(*arguments).endswith(f"\n{len(kernels)} kernels compiled, 0 failed\n"))

    def test_cases_and_ops_are_arguments(self):
        case, arguments = " ".join(Explain.CASE), ("keys", "--nvrtc", "13.0", "--arch", "sm90a,sm80@sm90")
        def kernels(*cases):
            return [(kernel["kernel"], kernel["target"]) for archs in self.read_json(*arguments, *cases)["ops"].values()
                    for listed in archs.values() for kernel in listed]
        of_case = [(f"write_slice.{variant}.4_byte", target) for target in ("sm90a", "sm90") for variant in ("rows", "generic")]
        self.assertEqual(of_case, kernels(case))
        self.assertEqual(of_case, kernels(case + " dest_strides=1x4 seed=3", case))  # of a run, and once more
        self.assertEqual(kernels("kv_cache_append") + of_case, kernels("kv_cache_append", case))
        self.assertEqual(set(kernels()), {kernel for op in OPS for kernel in kernels(op)})
        for words, cases in ((("element=f32", "quotes"), Explain.CASE), (OPS, ("no_such_op",)),
                             (("f33",), ("write_slice element=f33",))):
            for command in (arguments, ("compile", "--arch", "sm80")):
                self.refuse(BAD_INPUT, *command, *cases, words=words)
        self.refuse(BAD_INPUT, *arguments, "--arch", "sm80@sm86", words=("sm80@sm86", "own code"))

    def test_a_libnvrtc_outside_the_search_path_finds_its_builtins(self):
        library = self.read_json("info")["libraries"][1]
        if not library["found"]:
            self.skipTest("no NVRTC")
        with tempfile.TemporaryDirectory() as folder:
            nvrtc = pathlib.Path(library["path"]).resolve()
            builtins = f"libnvrtc-builtins.so.{library['version']}"
            shutil.copy(nvrtc, pathlib.Path(folder, "libnvrtc.so"))
            shutil.copy(nvrtc.parent / builtins, folder)
            result = tool("compile", "--arch", "sm80", "kv_cache_append", LD_DEBUG="files", BARACUDA_CACHE_MAX_BYTES="0",
                          BARACUDA_NVRTC_LIBRARY=str(pathlib.Path(folder, "libnvrtc.so")))
            self.assertEqual(SUCCESS, result.returncode, result.stdout)
            # Not the ones of a toolkit that the loader happens to know.
            self.assertIn(f"calling init: {folder}/{builtins}", result.stderr)


class AheadOfTime(Tool):
    """warm and pack, over folders and lists that are made here."""

    LIST = f"""
# shapes of an engine
{" ".join(Explain.CASE)}  # one of them

  kv_cache_append element=bf16 layout=paged num_tokens=1 num_kv_heads=8 k_head_dim=128 v_head_dim=128\t
"""
    NO_NVRTC = {"BARACUDA_NVRTC_LIBRARY": "/nonexistent"}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.list, self.pack = self.folder / "engine.list", self.folder / "engine.pack"
        self.list.write_text(self.LIST)
        self.environment = {"BARACUDA_CACHE_DIR": str(self.folder / "cache")}

    def need_nvrtc(self):
        if not self.read_json("info")["libraries"][1]["found"]:
            self.skipTest("no NVRTC")

    def run_to(self, status, *arguments, stdin=None, **environment):
        """Its JSON. stderr may tell of long compiles."""
        result = subprocess.run([support.TOOL, *arguments, "--json"], capture_output=True, text=True, timeout=250, input=stdin,
                                env={**os.environ, **self.environment, **environment})
        self.assertEqual(status, result.returncode, result.stderr)
        self.assertEqual([], [line for line in result.stderr.splitlines() if " compiling " not in line])
        return json.loads(result.stdout)

    def warm(self, *arguments, status=SUCCESS, **environment):
        report = self.run_to(status, "warm", *arguments, **environment)
        return report["compiled"], report["present"], len(report["problems"])

    def test_warm(self):
        self.need_nvrtc()
        self.assertEqual((3, 0, 0), self.warm(self.list, "--arch", "sm90a"))
        self.assertEqual((0, 3, 0), self.warm(self.list, "--arch", "sm90a"))
        self.assertEqual((3, 3, 0), self.warm("-", "--arch", "sm90a,sm80", stdin=self.LIST))
        kept = self.read_json("cache", "info", **self.environment)["kernels"]
        self.assertEqual({("write_slice.rows.4_byte", "sm80"), ("write_slice.rows.4_byte", "sm90a"),
                          ("write_slice.generic.4_byte", "sm80"), ("write_slice.generic.4_byte", "sm90a"),
                          ("kv_cache_append.paged.2_byte", "sm80"), ("kv_cache_append.paged.2_byte", "sm90a")},
                         {(kernel["name"], kernel["target"]) for kernel in kept})
        text = self.succeed("warm", self.list, "--arch", "sm80", **self.environment)
        self.assertRegex(text, r"^0 kernels compiled, 3 were there, 0 failed, \d+\.\d s\n$")

    def test_warm_fails_where_nothing_is_kept(self):
        self.need_nvrtc()
        arguments = (self.list, "--arch", "sm80")
        (self.folder / "file").write_text("")
        self.assertEqual((0, 0, 3), self.warm(*arguments, status=FAILURE, BARACUDA_CACHE_DIR=str(self.folder / "file")))
        for setting in ({"BARACUDA_CACHE_MAX_BYTES": "0"}, {"BARACUDA_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": ""}):
            self.refuse(FAILURE, "warm", *arguments, words=("folder",), **{**self.environment, **setting})
        # Room for two of three, whatever the times that the files tell of.
        self.assertEqual((3, 0, 0), self.warm(*arguments))
        sizes = sorted(path.stat().st_size for path in (self.folder / "cache").glob("*.cubin"))
        shutil.rmtree(self.folder / "cache")
        compiled, present, failed = self.warm(*arguments, status=FAILURE, BARACUDA_CACHE_MAX_BYTES=str(sum(sizes) - sizes[0] // 2))
        self.assertTrue(compiled < 3 and present == 0 and compiled + failed == 3, (compiled, present, failed))

    def test_warm_without_a_gpu_wants_an_arch(self):
        if not self.has_gpu():
            self.refuse(BAD_INPUT, "warm", self.list, words=("--arch",))
            self.refuse(FAILURE, "warm", self.list, "--device", "cuda")
        self.refuse(BAD_INPUT, "warm", self.list, "--device", "cpu", words=("cpu",))
        self.refuse(BAD_INPUT, "warm", self.list, "--arch", "sm70", words=("sm70", "sm80"))

    def test_a_bad_line_is_named_before_anything_is_compiled(self):
        for bad, words in (("no_such_op", OPS), ("write_slice element=f33", ("f33", "bf16")),
                           ("write_slice write_slice", ("field",)), ("kv_cache_append element=s4", ("s4",))):
            self.list.write_text(f"\n{self.LIST}{bad}  # bad\nno_such_op\n")
            line_number = 1 + len(self.LIST.splitlines()) + 1
            for command in (("warm",), ("pack", "-o", self.pack)):
                self.refuse(BAD_INPUT, *command, self.list, "--arch", "sm90a", words=(f"{self.list}:{line_number}: ", *words),
                            **self.environment)
        self.assertEqual([self.list], list(self.folder.iterdir()))

    def test_lists_that_cannot_be(self):
        self.list.write_text("# nothing\n\n")
        for path, word in ((self.list, "no case"), (self.folder / "absent", "No such file"), (self.folder, "directory")):
            for command in (("warm",), ("pack", "-o", self.pack)):
                self.refuse(BAD_INPUT, *command, path, "--arch", "sm90a", words=(str(path), word))

    def test_pack(self):
        self.need_nvrtc()
        info = self.run_to(SUCCESS, "pack", self.list, "-o", self.pack, "--arch", "sm90a,sm80@sm90")
        self.assertEqual((str(self.pack), self.pack.stat().st_size, 6, ["sm90", "sm90a"]),
                         (info["path"], info["bytes"], info["kernels"], info["targets"]))
        # The same bytes when all is compiled again, in another order.
        again = self.folder / "again.pack"
        lines = "\n".join(reversed(self.LIST.splitlines()))
        self.run_to(SUCCESS, "pack", "-", "-o", again, "--arch", "sm80@sm90,sm90a", stdin=lines, BARACUDA_CACHE_MAX_BYTES="0")
        self.assertEqual(self.pack.read_bytes(), again.read_bytes())

        packed = {"BARACUDA_KERNEL_PACK": str(self.pack), **self.NO_NVRTC}
        loaded = self.read_json("info", **packed)
        self.assertEqual(([info["path"]], ""), ([pack["path"] for pack in loaded["kernel_packs"]], loaded["kernel_packs_problem"]))
        self.assertIn(f"{self.pack}: 6 kernels for sm90 sm90a", self.succeed("info", **packed))
        shutil.rmtree(self.folder / "cache")
        self.assertEqual((0, 3, 0), self.warm(self.list, "--arch", "sm90a", **packed))
        self.assertEqual((0, 6, 0), self.warm(self.list, "--arch", "sm80@sm90,sm90a", **packed))
        self.refuse(FAILURE, "warm", self.list, "--arch", "sm80", words=(str(self.pack), "write_slice.rows.4_byte", "baracuda pack",
                                                                        "/nonexistent"), **{**self.environment, **packed})
        self.assertFalse((self.folder / "cache").exists())

    def test_all_classes_unless_one_is_named(self):
        self.need_nvrtc()
        info = self.run_to(SUCCESS, "pack", self.list, "-o", self.pack)
        self.assertEqual((9, ["sm80", "sm89", "sm90a"]), (info["kernels"], info["targets"]))
        self.assertRegex(self.succeed("pack", self.list, "-o", self.pack, **self.environment),
                         f"^{self.pack}: 9 kernels for sm80 sm89 sm90a, .* by NVRTC .*\\n$")

    def test_pack_to_where_it_cannot_be(self):
        self.need_nvrtc()
        self.warm(self.list, "--arch", "sm90a")  # so that nothing tells of a compile
        for path, word in ((self.folder / "absent" / "x.pack", "No such file"), (self.folder, "regular file"),
                           ("/dev/null", "regular file"), (self.list / "x", "Not a directory")):
            self.refuse(FAILURE, "pack", self.list, "-o", path, "--arch", "sm90a", words=(str(path), word), **self.environment)
        self.assertEqual({"engine.list", "cache"}, {path.name for path in self.folder.iterdir()})

    def test_a_damaged_pack_is_not_passed_over(self):
        self.pack.write_bytes(b"baracuda kernel pack 1\nnvrtc 13.0\nkernels 1\n")
        packed = {"BARACUDA_KERNEL_PACK": str(self.pack), **self.environment}
        info = self.read_json("info", **packed)
        self.assertEqual([], info["kernel_packs"])
        self.assertIn(str(self.pack), info["kernel_packs_problem"])
        self.assertIn("not used: BARACUDA_KERNEL_PACK: ", self.succeed("info", **packed))
        self.refuse(FAILURE, "warm", self.list, "--arch", "sm90a", words=(str(self.pack), "at byte 44"), **packed)
        if self.has_gpu():
            self.assertEqual("cuda:0", info["default_device"])
            self.assertIn(str(self.pack), tool("verify", "--case", " ".join(Explain.CASE), **packed).stdout)

    def test_without_nvrtc(self):
        for arguments in (("compile", "--arch", "sm90a"), ("warm", self.list, "--arch", "sm90a"),
                          ("pack", self.list, "-o", self.pack)):
            self.refuse(FAILURE, *arguments, words=("libnvrtc", "/nonexistent"), **self.environment, **self.NO_NVRTC)
        self.assertFalse(self.pack.exists())

    def test_what_a_gpu_runs_from_a_pack(self):
        """Every case of an op, with all of its kernels packed, its older classes included."""
        gpus = self.read_json("info")["gpus"]
        if not gpus or gpus[0]["arch"] != "sm90a":
            self.skipTest("no GPU of compute capability 9.0")
        self.need_nvrtc()
        self.run_to(SUCCESS, "pack", "-", "-o", self.pack, "--arch", "sm90a,sm80@sm90", stdin="kv_cache_append\n")
        packed = {"BARACUDA_KERNEL_PACK": str(self.pack), "BARACUDA_CACHE_MAX_BYTES": "0", **self.NO_NVRTC}
        self.assertEqual("cuda:0", self.read_json("info", **packed)["default_device"])
        self.assertEqual("cpu", self.read_json("info", **self.NO_NVRTC)["default_device"])
        report = self.read_json("verify", "--quick", "kv_cache_append", **packed)
        self.assertEqual(("cuda:0", 0), (report["device"], report["failed"]))
        self.assertIn("is in no loaded pack", tool("verify", "--case", " ".join(Explain.CASE), **packed).stdout)


if __name__ == "__main__":
    unittest.main()
