"""The Python package: built as a wheel, installed into an environment of its own, tested there (python/tests), and found
to be whole. What tools/bindings prints of it is what it should be."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

import support

PACKAGES = ("scikit-build-core==1.1.2", "nanobind==3.1.0", "numpy==2.4.6")
MYPY = "mypy==2.4.1"
TESTS = support.ROOT / "python/tests"
MOST_BYTES = 10_000_000


def run(*command, **options):
    """Its output; a failure tells what it said."""
    result = subprocess.run(command, text=True, timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command}: status {result.returncode}\n{result.stdout}")
    return result.stdout


def environment(interpreter, folder, packages):
    """An environment with what the tests need; made anew where that has changed."""
    python, installed = folder / "bin/python", folder / "installed.txt"
    wanted = f"{run(interpreter, '-VV')}{packages}\n"
    if not installed.exists() or installed.read_text() != wanted:
        run(interpreter, "-m", "venv", "--clear", folder)
        run(python, "-m", "pip", "install", "-q", *packages)
        installed.write_text(wanted)
    return python


def install_wheel(python, folder, build):
    """The wheel, made by `python` in `folder` and installed for it."""
    # The library as it has been built already: to compile it once more would take minutes and show nothing new.
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder,
        "-C", f"build-dir={build}", "-C", "cmake.define.CMAKE_COMPILE_WARNING_AS_ERROR=ON",
        "-C", f"cmake.define.BARACUDA_PYTHON_LIBRARY={support.BUILD}/libbaracuda_static.a", support.ROOT,
        env={**os.environ, "CXX": support.build_info()["compiler"]})
    wheel, = folder.glob("*.whl")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", wheel)
    return wheel


def run_tests(test, python, name):
    output = run(python, TESTS / f"{name}.py", "-v", cwd=test.folder,
                 env={**os.environ, "BARACUDA_TEST_DOUBLES": str(support.BUILD / "doubles")})
    test.assertRegex(output, r"\nRan [1-9]\d* tests? in .*\n\nOK\n")  # none skipped


def found_stable_abi():
    """A Python 3.12, on the PATH or of pyenv, where the one that runs this is 3.11, which has a wheel of its own."""
    if sys.version_info >= (3, 12):
        return None
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob("versions/3.12.*/bin/python")
    for interpreter in (shutil.which("python3.12"), *pyenv):  # pyenv's command on the PATH may be for nothing
        if interpreter and subprocess.run([interpreter, "-c", ""], capture_output=True).returncode == 0:
            return interpreter
    return None


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="baracuda-python-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.python = environment(sys.executable, support.BUILD / "python-environment", (*PACKAGES, MYPY))
        cls.wheel = install_wheel(cls.python, cls.folder, support.BUILD / "python")
        cls.installed = pathlib.Path(run(cls.python, "-c", "import baracuda; print(baracuda.__path__[0])",
                                         cwd=cls.folder).strip())

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

    def test_the_wheel_has_the_licences_of_what_is_in_it(self):
        licences = {name.partition("/licenses/")[2] for name in zipfile.ZipFile(self.wheel).namelist()}
        self.assertLess({"LICENSE", "baracuda/capi/dlpack/LICENSE", *(f"python/licenses/{name}.txt" for name in
                         ("apache-2.0", "fmt", "nanobind", "nlohmann-json", "robin-map"))}, licences)

    def test_a_class_for_each_kind_of_error(self):
        header = (support.ROOT / "baracuda/capi/baracuda_c.h").read_text()
        kinds = re.findall(r"^  BARACUDA_(\w+) = [1-9]\d*,? +///<", header, re.MULTILINE)
        self.assertIn("WORKSPACE_TOO_SMALL", kinds)
        names = ["".join(word.capitalize() for word in kind.split("_")) for kind in kinds]
        classes = run(self.python, "-c", "from baracuda import _errors\n"
                      "print(*(kind.__name__ for kind in _errors.Error.__subclasses__()))", cwd=self.folder)
        self.assertEqual(sorted(names), sorted(classes.split()))

    def test_the_bench_runs(self):
        """What it says is in the log; nothing is asked of the times."""
        print(run(self.python, support.ROOT / "bench/python_call.py", "1000", cwd=self.folder))

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
                if "import torch" not in block:  # tests/gpu/python_suite.py runs those
                    run(self.python, "-c", block, cwd=self.folder)


class StableAbi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="baracuda-python-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.python = environment(found_stable_abi(), support.BUILD / "python-environment-abi3", PACKAGES)
        cls.wheel = install_wheel(cls.python, cls.folder, support.BUILD / "python-abi3")

    def test_the_wheel(self):
        self.assertIn("-cp312-abi3-", self.wheel.name)
        self.assertLess(self.wheel.stat().st_size, MOST_BYTES)
        self.assertIn("baracuda/_native.abi3.so", zipfile.ZipFile(self.wheel).namelist())


def add_test(suite, name):
    setattr(suite, name, lambda self: run_tests(self, self.python, name))


for path in TESTS.glob("test_*.py"):
    add_test(Package, path.stem)
    if path.stem != "test_misuse":  # which takes longest, and is of the C++ that both have
        add_test(StableAbi, path.stem)

if not found_stable_abi():
    del StableAbi

if __name__ == "__main__":
    unittest.main()
