"""The Python package: built as a wheel, installed into an environment of its own, tested there (python/tests), and found
to be whole. What tools/bindings prints of it is what it should be."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import venv
import zipfile

import support

PACKAGES = ("scikit-build-core==1.1.2", "nanobind==3.1.0", "numpy==2.4.6", "mypy==2.4.1")
TESTS = support.ROOT / "python/tests"
MOST_BYTES = 10_000_000


def run(*command, **options):
    """Its output; a failure tells what it said."""
    result = subprocess.run(command, text=True, timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command}: status {result.returncode}\n{result.stdout}")
    return result.stdout


def environment(folder):
    """An environment with what the tests need; made anew where that has changed."""
    python, installed = folder / "bin/python", folder / "installed.txt"
    wanted = f"{sys.version}\n{PACKAGES}\n"
    if not installed.exists() or installed.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        run(python, "-m", "pip", "install", "-q", *PACKAGES)
        installed.write_text(wanted)
    return python


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="baracuda-python-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.python = environment(support.BUILD / "python-environment")
        # The library as it has been built already: to compile it once more would take minutes and show nothing new.
        run(cls.python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", cls.folder,
            "-C", f"build-dir={support.BUILD}/python", "-C", "cmake.define.CMAKE_COMPILE_WARNING_AS_ERROR=ON",
            "-C", f"cmake.define.BARACUDA_PYTHON_LIBRARY={support.BUILD}/libbaracuda_static.a", support.ROOT,
            env={**os.environ, "CXX": support.build_info()["compiler"]})
        cls.wheel, = cls.folder.glob("*.whl")
        run(cls.python, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", cls.wheel)
        cls.installed = pathlib.Path(run(cls.python, "-c", "import baracuda; print(baracuda.__path__[0])",
                                         cwd=cls.folder).strip())

    def run_tests(self, name):
        output = run(self.python, TESTS / f"{name}.py", "-v", cwd=self.folder,
                     env={**os.environ, "BARACUDA_TEST_DOUBLES": str(support.BUILD / "doubles")})
        self.assertRegex(output, r"\nRan [1-9]\d* tests? in .*\n\nOK\n")  # none skipped

    def test_pip_compiles_the_library_into_it(self):
        """As it does without BARACUDA_PYTHON_LIBRARY. What would be compiled: to do it takes minutes."""
        build = self.folder / "whole"
        run("cmake", "-S", support.ROOT / "python", "-B", build, "-G", "Ninja", f"-DPython_EXECUTABLE={self.python}",
            f"-Dnanobind_DIR={run(self.python, '-m', 'nanobind', '--cmake_dir').strip()}",
            f"-DCMAKE_CXX_COMPILER={support.build_info()['compiler']}", "-DCMAKE_BUILD_TYPE=Release")
        *steps, link = run("ninja", "-C", build, "-t", "commands", "_native").strip().splitlines()
        for source in ("baracuda/capi/baracuda_c.cc", "baracuda/ops/write_slice/write_slice.cc", "embedded_sources.cc"):
            compiled = [step for step in steps if step.endswith(source)]
            self.assertEqual(1, len(compiled), source)
            self.assertIn(" -O2 ", compiled[0])
            self.assertNotIn("NDEBUG", compiled[0])
            self.assertIn(f"{source}.o ", link)
        self.assertRegex(link, r"libcrypto\.a\b")

    def test_the_wheel_is_whole_and_small(self):
        self.assertLess(self.wheel.stat().st_size, MOST_BYTES)
        version = re.search(r"project\(baracuda VERSION ([\d.]+)", (support.ROOT / "CMakeLists.txt").read_text())[1]
        self.assertEqual(["baracuda", version], self.wheel.name.split("-")[:2])
        files = set(zipfile.ZipFile(self.wheel).namelist())
        sources = {f"baracuda/{path.name}" for path in (support.ROOT / "python/baracuda").iterdir() if path.is_file()}
        self.assertLess(sources, files)
        modules = {name for name in files if re.search(r"\.so(\.|$)", name)}
        self.assertTrue(all(re.fullmatch(r"baracuda/(_native\.[\w.-]+|lib/lib(tbb|hwy|fmt)\.so\.\d+)", name)
                            for name in modules), modules)

    def test_it_needs_nothing_of_the_system_but_libc_and_libstdcxx(self):
        module, = self.installed.glob("_native*.so")
        for library in (module, *(self.installed / "lib").iterdir()):
            needed = set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "--dynamic", library)))
            bundled = {path.name for path in (self.installed / "lib").iterdir()}
            self.assertRegex("".join(sorted(needed - bundled)), r"^((libc|libm|libgcc_s|libstdc\+\+|ld-linux-x86-64)\.so\.\d)*$")
        self.assertIn("Library rpath: [$ORIGIN/lib:", run("readelf", "--dynamic", module))

    def test_the_library_within_is_nobody_elses(self):
        module, = self.installed.glob("_native*.so")
        defined = run("nm", "--dynamic", "--defined-only", module)
        self.assertEqual(["PyInit__native"], re.findall(r" (\S+)$", defined, re.MULTILINE))

    def test_no_file_tells_where_it_was_built(self):
        for path in filter(pathlib.Path.is_file, self.installed.rglob("*")):
            if path.suffix != ".pyc":
                self.assertNotIn(str(support.ROOT).encode(), path.read_bytes(), path)

    def test_types(self):
        """Those of the package itself, and those that its users see: good.py is accepted, each line of bad.py is not."""
        mypy = (self.python, "-m", "mypy", "--strict", "--cache-dir", support.BUILD / "mypy")
        run(*mypy, support.ROOT / "python/baracuda", cwd=self.folder)
        run(*mypy, TESTS / "types_good.py", cwd=self.folder)
        bad = TESTS / "types_bad.py"
        found = subprocess.run([*mypy, bad], cwd=self.folder, capture_output=True, text=True).stdout
        wrong = [number for number, line in enumerate(bad.read_text().splitlines(), 1) if "  # " in line]
        self.assertEqual(wrong, sorted({int(line) for line in re.findall(r"types_bad\.py:(\d+): error", found)}), found)

    def test_the_package_is_what_the_plans_fields_say(self):
        description = run(support.BUILD / "bin/baracuda_bindings", "--json")
        run(sys.executable, support.ROOT / "tools/bindings/python.py", self.folder / "printed", input=description)
        printed = [path for path in (self.folder / "printed").rglob("*") if path.is_file()]
        self.assertEqual(2, len(printed))
        for path in printed:
            committed = support.ROOT / path.relative_to(self.folder / "printed")
            self.assertEqual(path.read_text(), committed.read_text(), "`make bindings` writes it anew")

    def test_what_the_documents_show_runs(self):
        for page in ("README.md", "docs/python.md"):
            blocks = re.findall(r"^```python\n(.*?)^```$", (support.ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
            self.assertTrue(blocks, page)
            for block in blocks:
                if "torch" not in block:
                    run(self.python, "-c", block, cwd=self.folder)


def add_test(name):
    setattr(Package, name, lambda self: self.run_tests(name))


for path in TESTS.glob("test_*.py"):
    add_test(path.stem)

if __name__ == "__main__":
    unittest.main()
