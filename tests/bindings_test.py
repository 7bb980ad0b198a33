"""What tools/bindings prints is what stands in the tree, and it prints what the plans have."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import support

BINDINGS = support.BUILD / "bin" / "baracuda_bindings"
HEADER = support.ROOT / "baracuda/capi/baracuda_c.h"
FIRST_SIZES = support.ROOT / "baracuda/capi/first_sizes.def"


def run(*arguments):
    return subprocess.run([BINDINGS, *arguments], capture_output=True, text=True, timeout=60)


class Bindings(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="baracuda-bindings-test-")
        self.addCleanup(folder.cleanup)
        self.copy = pathlib.Path(folder.name) / "header.h"
        shutil.copy(HEADER, self.copy)
        self.sizes = pathlib.Path(folder.name) / "sizes.def"
        shutil.copy(FIRST_SIZES, self.sizes)

    def test_the_files_are_what_is_printed(self):
        """`make bindings` writes them."""
        result = run(self.copy, self.sizes)
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertEqual(HEADER.read_text(), self.copy.read_text())
        self.assertEqual(FIRST_SIZES.read_text(), self.sizes.read_text())

    def test_a_first_size_stays_when_the_struct_grows(self):
        """And a struct without one gets it."""
        grown = FIRST_SIZES.read_text().replace("FIRST_SIZE(QuantizeArgs, 40)", "FIRST_SIZE(QuantizeArgs, 32)")
        self.assertNotEqual(FIRST_SIZES.read_text(), grown)
        self.sizes.write_text(re.sub(r"FIRST_SIZE\(Elementwise.*\n", "", grown))
        self.assertEqual(0, run(self.copy, self.sizes).returncode)
        self.assertEqual(grown, self.sizes.read_text())

    def test_what_stands_between_the_marks_is_replaced(self):
        text = HEADER.read_text()
        begin, end = text.index("/* <generated> */\n") + 18, text.index("/* </generated> */")
        self.copy.write_text(text[:begin] + "int stale;\n" + text[end:])
        self.assertEqual(0, run(self.copy, self.sizes).returncode)
        self.assertEqual(text, self.copy.read_text())

    def test_a_file_without_marks_stays(self):
        self.copy.write_text("no marks\n")
        result = run(self.copy, self.sizes)
        self.assertEqual(1, result.returncode)
        self.assertIn("expected a file with the marks", result.stderr)
        self.assertEqual("no marks\n", self.copy.read_text())
        self.assertEqual(2, run().returncode)

    def test_every_op_is_there(self):
        """Those of the tool."""
        plans = json.loads(subprocess.run([support.TOOL, "plans", "--json"], capture_output=True, check=True).stdout)
        description = json.loads(run("--json").stdout)
        self.assertEqual(sorted({plan["op"] for plan in plans}), [op["name"] for op in description["ops"]])
        header = HEADER.read_text()
        for op in description["ops"]:
            for what in ("descriptor_init", "select", "run", "bind"):
                self.assertIn(f"baracuda_{op['name']}_{what}(", header)

    def test_statuses_and_dtypes_are_there(self):
        description, header = json.loads(run("--json").stdout), HEADER.read_text()
        shown = re.search(r"BARACUDA_OK = 0,\n(.*?)\n};", header, re.DOTALL)[1]
        shown = {name.replace("_", "").lower(): int(value) for name, value in
                 re.findall(r"BARACUDA_(\w+) = (\d+)", shown)}
        self.assertEqual(shown, {name.lower(): value for name, value in description["statuses"].items()})
        self.assertEqual(19, len(description["dtypes"]))
        self.assertLessEqual(description["dtypes"].keys(), description["enums"]["element"].keys())
        self.assertEqual({"code": 4, "bits": 16}, description["dtypes"]["bf16"])

    def test_json_and_header_have_the_same_members(self):
        header, description = HEADER.read_text(), json.loads(run("--json").stdout)
        structs = {"preference": description["preference"]}
        for op in description["ops"]:
            structs |= {f"{op['name']}_{part}": op[part] for part in ("descriptor", "args")}
        for name, struct in structs.items():
            with self.subTest(struct=name):
                members = re.search(rf"typedef struct baracuda_{name} {{\n(.*?)\n}}", header, re.DOTALL)[1]
                shown = [re.match(r" *(.*?)(\w+);", line).groups() for line in members.split("\n")]
                expected, offset = [("size_t ", "struct_size")], 8
                for field in struct["fields"]:
                    self.assertEqual(offset, field["offset"])
                    if field["has_flag"]:
                        expected.append(("baracuda_flag ", f"has_{field['name']}"))
                    expected.append((C_TYPES[field["kind"]].format(field.get("enum")), field["name"]))
                    offset += 8 * field["has_flag"] + (72 if field["kind"] == "dims" else 8)
                self.assertEqual(expected, shown)
                self.assertEqual(offset, struct["bytes"])


C_TYPES = {"flag": "baracuda_flag ", "integer": "int64_t ", "real": "double ", "dims": "baracuda_dims ",
           "enum": "baracuda_{} ", "name": "const char* ", "set": "uint64_t ", "tensor": "const DLTensor* ",
           "vector": "const DLTensor* "}

if __name__ == "__main__":
    unittest.main()
