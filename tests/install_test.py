"""What `cmake --install` puts somewhere is whole: its files, its symbols, and a program that is built over it, with
CMake and without, far from this tree and from where it was installed first."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import support

EXAMPLE = support.ROOT / "examples/write_slice.cc"
C_EXAMPLE = support.ROOT / "examples/elementwise.c"
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def run(*command, **environment):
    """Its output; a failure tells what it said."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, **environment})
    if result.returncode != 0:
        raise AssertionError(f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


class PublicNames:
    """What the public headers declare, as far as telling a public symbol from another takes: the names in namespace
    baracuda, and of each type those of its members."""

    def __init__(self, headers):
        self.functions, self.members, self.types = set(), {}, set()
        for header in headers:
            text = COMMENT.sub(" ", (support.ROOT / header).read_text())
            self.functions |= self.declared(text, depth=1)  # in the namespace
            self.types |= set(re.findall(r"\benum class (\w+)", text))
            for match in re.finditer(r"\b(?:class|struct)\s+(?:BARACUDA_API\s+)?(\w+)\b(?!\s*[>,])[^;{()=]*\{", text):
                self.types.add(match[1])
                self.members[match[1]] = self.declared(text[match.end():], depth=0)
            # What public templates call.
            for match in re.finditer(r"\bnamespace internal \{", text):
                self.members.setdefault("internal", set()).update(self.declared(text[match.end():], depth=0))

    @staticmethod
    def declared(text, depth):
        """The functions that stand in so many braces, up to the end of what `text` is in."""
        outside, level = "", 0
        for character in text:
            level += {"{": 1, "}": -1}.get(character, 0)
            if level < 0:
                break
            outside += character if level == depth else " "
        return set(re.findall(r"(~?\w+)\(", outside))

    def has(self, symbol):
        """Whether a demangled symbol is a public function, and of public types alone."""
        if not symbol.startswith("baracuda::"):
            return False
        arguments = re.findall(r"<baracuda::(\w+)>", symbol)  # of class templates
        function, *types = re.findall(r"\bbaracuda::([\w:~]+)", re.sub(r"<baracuda::\w+>", "", symbol))
        if not all(name in self.types for name in types + arguments):
            return False
        scope, _, name = function.rpartition("::")
        return name in (self.members.get(scope, ()) if scope else self.functions)


def c_functions(headers):
    """Those that C headers declare."""
    text = "".join(COMMENT.sub(" ", (support.ROOT / header).read_text()) for header in headers)
    return set(re.findall(r"\bbaracuda_\w+(?=\()", text))


def defined_symbols(*options, file):
    """Demangled, of functions and data that are not inline; a class template's that the library instantiates are not."""
    lines = run("nm", "--demangle", "--defined-only", *options, file).splitlines()
    return {match[1] for line in lines
            if (match := re.match(r"[0-9a-f]+ (?:[A-VX-Z]|W(?= baracuda::\w+<)) (.*)", line))}


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="baracuda-install-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.first_prefix, cls.prefix = cls.folder / "first", cls.folder / "moved"
        run("cmake", "--install", support.BUILD, "--prefix", cls.first_prefix)
        cls.first_prefix.rename(cls.prefix)
        cls.info = support.build_info()
        cls.version = run(support.TOOL, "--version").split()[1]
        cls.library = next(cls.prefix.glob(f"lib*/**/libbaracuda.so.{cls.version}"))

    def empty_folder(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.folder))

    def expect_output_of_the_example(self, *command, example=EXAMPLE, **environment):
        self.assertEqual(example.with_suffix(".txt").read_text(), run(*command, **environment))

    def test_headers_are_the_public_ones(self):
        include = self.prefix / "include"
        self.assertEqual(sorted(self.info["public_headers"] + self.info["c_headers"]),
                         sorted(str(path.relative_to(include)) for path in include.rglob("*") if path.is_file()))

    def test_the_library_has_its_links(self):
        minor = self.version.rpartition(".")[0]
        soname = f"libbaracuda.so.{minor}"
        links = {path.name: os.readlink(path) for path in self.library.parent.glob("lib*") if path.is_symlink()}
        self.assertEqual({"libbaracuda.so": soname, soname: self.library.name}, links)
        self.assertIn(f"Library soname: [{soname}]", run("readelf", "--dynamic", self.library))

    def test_no_file_tells_where_it_was_built_or_installed(self):
        for path in filter(pathlib.Path.is_file, self.prefix.rglob("*")):
            for place in (support.ROOT, support.BUILD, self.first_prefix):
                self.assertNotIn(str(place).encode(), path.read_bytes(), path)

    def test_run_paths_are_relative(self):
        for path in (self.library, self.prefix / "bin/baracuda"):
            run_paths = re.findall(r"(?:RPATH|RUNPATH)\).*\[(.*)\]", run("readelf", "--dynamic", path))
            self.assertTrue(run_paths)
            for part in ":".join(run_paths).split(":"):
                self.assertTrue(part.startswith("$ORIGIN"), f"{path}: {part}")

    def test_the_licence_is_there(self):
        installed = list(self.prefix.rglob("LICENSE"))
        self.assertEqual([(support.ROOT / "LICENSE").read_text()], [path.read_text() for path in installed])

    def test_the_tool_runs(self):
        tool = self.prefix / "bin/baracuda"
        self.assertEqual(f"baracuda {self.version}\n", run(tool, "--version"))
        run(tool, "verify", "--quick", "--device", "cpu", "write_slice")

    def test_symbols_are_those_of_the_public_headers(self):
        """None is missing, which a program would not link without, and none is there that no public header declares."""
        public = PublicNames(self.info["public_headers"])
        in_c = c_functions(self.info["c_headers"])
        self.assertIn("baracuda_write_slice_select", in_c)
        exported = defined_symbols("--dynamic", file=self.library)
        self.assertEqual(sorted(in_c), sorted(symbol for symbol in exported if "::" not in symbol))
        exported -= in_c
        self.assertEqual([], sorted(symbol for symbol in exported if not public.has(symbol)))
        defined = defined_symbols(file=support.BUILD / "libbaracuda_static.a")
        self.assertEqual([], sorted(symbol for symbol in defined - exported if public.has(symbol)))

    def test_public_names_tell_symbols_apart(self):
        public = PublicNames(self.info["public_headers"])
        for symbol in ("baracuda::version()", "baracuda::Stream::cpu(int)",
                       "baracuda::internal::thrown_error(std::basic_string_view<char, std::char_traits<char> >)",
                       "baracuda::Dims::to_string[abi:cxx11]() const",
                       "baracuda::WriteSlicePlan::can_implement(baracuda::WriteSliceArgs const&) const",
                       "baracuda::QuantizationPlan<baracuda::QuantizeDescriptor>::descriptor() const"):
            self.assertTrue(public.has(symbol), symbol)
        for symbol in ("baracuda::jit::nvrtc()", "baracuda::name_of(baracuda::WriteSliceVariant)", "fmt::v9::vformat()",
                       "baracuda::WriteSlicePlan::State::check(baracuda::WriteSliceArgs const&) const",
                       "baracuda::QuantizationPlan<baracuda::QuantizeConfig>::descriptor() const",
                       "baracuda::Stream::to_string() const", "std::vector<baracuda::Arch>::push_back()",
                       "vtable for baracuda::Stream", "TLS init function for baracuda::x"):
            self.assertFalse(public.has(symbol), symbol)

    def test_a_program_with_cmake(self):
        folder = self.empty_folder()
        for name in (EXAMPLE.name, C_EXAMPLE.name, "consumer/CMakeLists.txt"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(support.ROOT / "examples" / name, folder / name)
        run("cmake", "-S", folder / "consumer", "-B", folder / "build", "-G", "Ninja",
            f"-DCMAKE_CXX_COMPILER={self.info['compiler']}", f"-DCMAKE_C_COMPILER={self.info['c_compiler']}",
            f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", folder / "build")
        self.expect_output_of_the_example(folder / "build/consumer")
        self.expect_output_of_the_example(folder / "build/c_consumer", example=C_EXAMPLE)

    def test_another_minor_version_is_not_this_one(self):
        folder = self.empty_folder()
        major, minor, _ = map(int, self.version.split("."))
        for wanted, found in (((major, minor), True), ((major, minor + 1), False), ((major + 1, minor), False)):
            (folder / "CMakeLists.txt").write_text(
                "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES NONE)\n"
                f"find_package(baracuda {wanted[0]}.{wanted[1]} CONFIG)\n"
                'file(WRITE ${CMAKE_SOURCE_DIR}/found "${baracuda_FOUND}")\n')
            run("cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")
            self.assertEqual(str(int(found)), (folder / "found").read_text(), wanted)

    def test_a_program_with_this_tree_in_it(self):
        """As the README says it: the library alone is built, without the tests' packages, and none of it installed."""
        folder = self.empty_folder()
        (folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES CXX)\n"
            f"add_subdirectory({support.ROOT} baracuda)\nadd_executable(app {EXAMPLE})\n"
            "target_link_libraries(app PRIVATE baracuda)\ninstall(TARGETS app)\n")
        run("cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja", "-DCMAKE_CXX_FLAGS=-O0",
            f"-DCMAKE_CXX_COMPILER={self.info['compiler']}")
        run("cmake", "--build", folder / "build")
        self.expect_output_of_the_example(folder / "build/app")
        run("cmake", "--install", folder / "build", "--prefix", folder / "prefix")
        self.assertEqual(["app"], [path.name for path in (folder / "prefix").rglob("*") if path.is_file()])

    def test_a_program_with_pkg_config(self):
        program = self.empty_folder() / "program"
        environment = {"PKG_CONFIG_PATH": str(self.library.parent / "pkgconfig")}
        self.assertEqual(f"{self.version}\n", run("pkg-config", "--modversion", "baracuda", **environment))
        flags = run("pkg-config", "--cflags", "--libs", "baracuda", **environment).split()
        run(self.info["compiler"], "-std=c++20", EXAMPLE, "-o", program, *flags)
        self.expect_output_of_the_example(program, LD_LIBRARY_PATH=str(self.library.parent))
        run(self.info["c_compiler"], "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", C_EXAMPLE, "-o", program,
            *flags)
        self.expect_output_of_the_example(program, example=C_EXAMPLE, LD_LIBRARY_PATH=str(self.library.parent))
        # The library has the code of no template.
        templates = program.with_name("templates.cc")
        templates.write_text("#include <baracuda/baracuda.h>\n"
                             "template class baracuda::PlanCache<baracuda::WriteSlicePlan>;\nint main() {}\n")
        run(self.info["compiler"], "-std=c++20", templates, "-o", program, *flags)

    def test_pkg_config_of_absolute_folders(self):
        folder = self.empty_folder()
        run("cmake", "-S", support.ROOT, "-B", folder / "build", "-G", "Ninja", "-DBARACUDA_BUILD_TESTS=OFF",
            f"-DCMAKE_CXX_COMPILER={self.info['compiler']}", f"-DCMAKE_INSTALL_PREFIX={folder}/prefix",
            f"-DCMAKE_INSTALL_LIBDIR={folder}/libraries/lib", f"-DCMAKE_INSTALL_INCLUDEDIR={folder}/prefix/headers")
        self.assertIn("/../../prefix\nlibdir=${prefix}/../libraries/lib\nincludedir=${prefix}/headers\n",
                      (folder / "build/baracuda.pc").read_text())


if __name__ == "__main__":
    unittest.main()
