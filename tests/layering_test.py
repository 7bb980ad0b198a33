"""Reads the sources: who includes whom (the arrows of the house style, section 2), where PTX, the environment and heavy
headers stand, which headers are public.

A rule is a function from a tree, {path: text}, the public headers and the core headers that kernels include, to a list
of complaints. Each is tried on this repository, and on small trees that break it.
"""

import re
import unittest

import support

FOLDERS = ("baracuda", "python", "testing", "tests", "bench", "tools", "examples")
SUFFIXES = {".h", ".c", ".cc", ".cuh", ".def"}
VENDORED = "baracuda/capi/dlpack/"  # another project's, as it is

# Part of the tree → the parts that it may include. The keys are what part_of() says.
ARROWS = {
    "core": {"core"},
    "plan": {"plan", "core"},
    "ptx": {"ptx"},
    "numeric": {"numeric", "ptx", "light core"},  # one text for kernels and for CPU vectors
    "cpu": {"cpu", "core", "numeric"},
    "cuda": {"cuda", "core"},
    "jit": {"jit", "cuda", "core"},
    "ops": {"plan", "cpu", "jit", "cuda", "core", "numeric", "kernel list", "public", "same op"},
    "simd": {"cpu", "core", "numeric", "same op"},  # an op's *-inl.h, which may compile the text of its kernels
    "kernel list": {"jit", "core", "public", "same op"},  # an op that runs another's plan prepares its kernels too
    "checkpoint": {"checkpoint", "core", "public"},
    "config": {"config", "light core"},
    "device": {"device", "numeric", "ptx", "config", "light core"},
    "kernel": {"device", "numeric", "ptx", "config", "light core", "same op"},
    "umbrella": {"public"},
    "c header": {"c header"},
    "capi": {"capi", "c header", "core", "public"},
    "bindings": {"capi", "public"},  # prints what capi walks
    "python": {"python", "c header"},
    "examples": {"public", "c header"},
    "tools": {"tools", "testing", "bench", "public"},
    "oracle": {"oracle", "testing", "core", "public"},
}
ANYTHING = {"testing", "tests", "bench"}
SAME_OP = {"ops": {"ops", "config", "simd"}, "simd": {"ops", "config", "simd", "kernel"}, "kernel list": {"config"},
           "kernel": {"kernel"}}
FOR_NVRTC = {"config", "device", "numeric", "ptx", "kernel"}

HEAVY_STANDARD = {"regex", "filesystem", "iostream", "fstream", "sstream", "iomanip", "future", "random"}
ONE_FILE = {
    "oneTBB": r"(oneapi/)?tbb/",
    "the driver's header": r"cuda\.h$",
    "NVRTC's header": r"nvrtc\.h$",
    "fmt/format.h": r"fmt/format\.h$",
    "RapidCheck": r"rapidcheck",
    "OpenSSL": r"openssl/",
}

RAW_STRING = r'R"(?P<mark>\w*)\(.*?\)(?P=mark)"'
COMMENT = r"//[^\n]*|/\*.*?\*/"
STRING = r'"(?:\\.|[^"\\\n])*"'


def without_comments(text):
    """Nor raw strings. Other strings stay, but are recognized, because // may stand in one."""
    return re.sub(f"{RAW_STRING}|{COMMENT}|(?P<string>{STRING})", lambda match: match["string"] or " ", text,
                  flags=re.DOTALL)


def code(text):
    return re.sub(STRING, '""', without_comments(text))


def includes(text):
    """Names as in #include "name" and #include <name>, two lists."""
    found = re.findall(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', without_comments(text), re.MULTILINE)
    return [name for mark, name in found if mark == '"'], [name for mark, name in found if mark == "<"]


def part_of(path):
    folder, *rest = path.split("/")
    if re.search(r"_oracle\.(h|cc)$", path):
        return "oracle"
    if re.search(r"_(test|case)\.(h|cc)$", path):
        return "testing"
    if path.startswith("tools/bindings/"):
        return "bindings"
    if folder != "baracuda":
        return folder
    if path == "baracuda/capi/baracuda_c.h" or path.startswith(VENDORED):
        return "c header"
    if len(rest) == 1:
        return "umbrella"
    if rest[0] == "device":
        return rest[1] if rest[1] in ("numeric", "ptx") else "device"
    if path.endswith(".cuh"):
        return "kernel"
    if path.endswith("_config.h"):
        return "config"
    if rest[0] == "ops" and path.endswith("-inl.h"):
        return "simd"
    if path.endswith("_kernels.h"):
        return "kernel list"
    return rest[0]


def op_of(path):
    return (re.match(r"baracuda/ops/(\w+)/", path) or [None, None])[1]


def arrows(tree, public, light):
    def drawn(path, name):
        part, target = part_of(path), part_of(name)
        to = {"light core"} if path in light else ARROWS.get(part, set())
        return (target in to
                or "public" in to and name in public
                or "light core" in to and name in light
                or "same op" in to and op_of(path) == op_of(name) and target in SAME_OP[part])

    return [f"{path} includes {name}: no arrow from {part_of(path)} to {part_of(name)}"
            for path, text in tree.items() if part_of(path) not in ANYTHING
            for name in includes(text)[0] if not drawn(path, name)]


def kernels_include_nothing_foreign(tree, public, light):
    return [f"{path} includes <{name}>, but NVRTC has no such header"
            for path, text in tree.items() if part_of(path) in FOR_NVRTC or path in light
            for name in includes(text)[1]]


def light_headers(tree, public, light):
    return [f"{path} includes <{name}>, which costs every file that includes it"
            for path, text in tree.items() if path in public or re.fullmatch(r"baracuda/core/\w+\.h", path)
            for name in includes(text)[1] if name in HEAVY_STANDARD or "/" in name]


def heavy_headers_in_one_file(tree, public, light):
    complaints = []
    for what, pattern in ONE_FILE.items():
        users = [path for path, text in tree.items() if any(re.match(pattern, name) for name in includes(text)[1])]
        if len(users) > 1 or any(not path.endswith(".cc") for path in users):
            complaints.append(f"{what} belongs in one .cc file, not in {', '.join(users)}")
    return complaints


def highway_in_cpu_files(tree, public, light):
    return [f"{path} includes <{name}>"
            for path, text in tree.items()
            if part_of(path) not in ANYTHING | {"cpu"} and not re.search(r"(_cpu\.cc|-inl\.h)$", path)
            for name in includes(text)[1] if name.startswith("hwy/")]


def asm_in_ptx(tree, public, light):
    return [f"{path} has asm"
            for path, text in tree.items() if not path.startswith("baracuda/device/ptx/")
            if re.search(r"\b(asm|__asm__)\b", code(text))]


def environment_in_env(tree, public, light):
    return [f"{path} reads the environment"
            for path, text in tree.items() if path != "baracuda/core/env.cc" and part_of(path) not in ANYTHING
            if re.search(r"\b(getenv|secure_getenv|environ)\b", code(text))]


def public_headers(tree, public, light):
    """They are what baracuda.h reaches, and one of every op."""
    reached, new = set(), {"baracuda/baracuda.h"}
    while new:
        reached |= new
        new = {name for path in new for name in includes(tree.get(path, ""))[0]} - reached
    ops = {f"baracuda/ops/{op}/{op}.h" for op in map(op_of, tree) if op}
    return ([f"{path} is public for baracuda.h, not for CMake" for path in sorted(reached - public)]
            + [f"{path} is public for CMake, but baracuda.h does not include it" for path in sorted(public - reached)]
            + [f"{path} is not public, but an op's header" for path in sorted(ops - public)])


def public_results_are_noexcept(tree, public, light):
    """What returns a Result tells of everything by it."""
    def declaration(text):
        """To the end of the parameters, and what follows up to the body."""
        level = 0
        for i, character in enumerate(text):
            level += {"(": 1, ")": -1}.get(character, 0)
            if character == ")" and level == 0:
                return re.match(r"[^;{]*", text[i + 1:])[0]
        return ""

    return [f"{path}: {match[1]} returns a Result, but is not noexcept"
            for path, text in tree.items() if path in public and path != "baracuda/core/result.h"
            for match in re.finditer(r"\bResult<[^;{}()]*>\s+(\w+)(?=\()", code(text))
            if not re.search(r"\bnoexcept\b", declaration(code(text)[match.end():]))]


def line_width(tree, public, light):
    """120 characters, but for links and for raw strings, which are other texts."""
    complaints = []
    for path, text in tree.items():
        raw = {number for match in re.finditer(RAW_STRING, text, re.DOTALL)
               for number in range(text.count("\n", 0, match.start()) + 1, text.count("\n", 0, match.end()) + 2)}
        complaints += [f"{path}:{number} has {len(line)} characters, expected at most 120"
                       for number, line in enumerate(text.split("\n"), 1)
                       if len(line) > 120 and "://" not in line and number not in raw]
    return complaints


OP = "baracuda/ops/add/add"
# Rule → trees that it must find fault with. Public are baracuda.h and add.h, and kernels may include element.h.
BROKEN = {
    arrows: [
        {"baracuda/core/view.h": '#include "baracuda/plan/plan.h"'},
        {"baracuda/cuda/driver.cc": '#include "baracuda/jit/nvrtc.h"'},
        {"baracuda/cpu/parallel.cc": '#include "baracuda/cuda/driver.h"'},
        {"baracuda/ops/mul/mul.cc": '#include "baracuda/ops/add/add_config.h"'},
        {f"{OP}.cc": '#include "testing/op.h"'},
        {f"{OP}.cc": f'#include "{OP}_oracle.h"'},
        {f"{OP}.cc": f'#include "{OP}.cuh"'},
        {f"{OP}-inl.h": '#include "baracuda/ops/mul/mul.cuh"'},
        {f"{OP}.cuh": '#include "baracuda/core/view.h"'},
        {"baracuda/core/element.h": '#include "baracuda/core/view.h"'},
        {f"{OP}_oracle.h": f'#include "{OP}_config.h"'},
        {"baracuda/device/copy/row.cuh": f'#include "{OP}.cuh"'},
        {"baracuda/device/numeric/exp.cuh": '#include "baracuda/device/copy/row.cuh"'},
        {"baracuda/cpu/simd-inl.h": '#include "baracuda/device/copy/row.cuh"'},
        {"baracuda/plan/plan.cc": '#include "baracuda/device/numeric/exp.cuh"'},
        {"examples/add.cc": '#include "baracuda/core/private.h"'},
        {"examples/add.c": '#include "baracuda/capi/c_fields.h"'},
        {"baracuda/capi/baracuda_c.h": '#include "baracuda/core/element.h"'},
        {f"{OP}.cc": '#include "baracuda/capi/baracuda_c.h"'},
        {"tools/main.cc": '#include "baracuda/capi/c_fields.h"'},
        {"python/src/native.cc": '#include "baracuda/baracuda.h"'},
        {"tools/main.cc": '  #  include "baracuda/jit/nvrtc.h"  // for a moment'},
        {"baracuda/utils/strings.h": '#include "baracuda/core/view.h"'},
    ],
    kernels_include_nothing_foreign: [
        {"baracuda/device/numeric/exp.cuh": "#include <cmath>"},
        {f"{OP}.cuh": "#include <cuda_fp16.h>"},
        {f"{OP}_config.h": "#include <cstdint>"},
        {"baracuda/core/element.h": "#include <string>"},
    ],
    light_headers: [{f"{OP}.h": "#include <regex>"}, {"baracuda/core/view.h": "#include <fmt/core.h>"}],
    heavy_headers_in_one_file: [
        {"baracuda/cpu/parallel.h": "#include <tbb/parallel_for.h>"},
        {"baracuda/cuda/a.cc": "#include <cuda.h>", "baracuda/cuda/b.cc": "#include <cuda.h>"},
    ],
    highway_in_cpu_files: [{f"{OP}.cc": "#include <hwy/highway.h>"}],
    asm_in_ptx: [
        {f"{OP}.cuh": 'void f() { asm volatile("trap;"); }'},
        {"baracuda/cpu/pause.cc": '/* "quoted */ void f() { __asm__("pause"); }'},
    ],
    environment_in_env: [{"baracuda/jit/cache.cc": 'auto dir = std::getenv("HOME");'}],
    public_headers: [
        {"baracuda/baracuda.h": ""},
        {"baracuda/baracuda.h": f'#include "{OP}.h"', f"{OP}.h": '#include "baracuda/plan/args.h"'},
        {"baracuda/baracuda.h": f'#include "{OP}.h"', "baracuda/ops/mul/mul.cc": ""},
    ],
    public_results_are_noexcept: [
        {f"{OP}.h": "BARACUDA_API Result<Dims> parse(std::string_view text);"},
        {f"{OP}.h": "template <class P>\nResult<std::vector<P>> get(P p = P(1)) const { return p; }  // noexcept"},
        {f"{OP}.h": "Result<int> f() noexcept;\nstatic Result<int> g(\n    const A& a = {}) const;"},
    ],
    line_width: [{f"{OP}.cc": f"// {'é' * 118}"}, {"tests/a_test.cc": f'R"(a\n)";\n{"b" * 121}'}],
}

# What looks like a fault and is none.
SOUND = {
    "baracuda/baracuda.h": f'#include "{OP}.h"',
    f"{OP}.h": "#include <vector>\nResult<int> f(A a = {}) noexcept;\n"
               "Result<P> get(P p = P(1)) const noexcept try { Result<P> q = g(p); }",
    f"{OP}.cc": f'#include "{OP}_config.h"  // no asm, no getenv\n#include "baracuda/jit/nvrtc.h"',
    f"{OP}_cpu.cc": '#include <hwy/highway.h>\n#include "baracuda/cpu/simd-inl.h"\n'
                    f'#include "baracuda/device/numeric/exp.cuh"\n#include "{OP}-inl.h"',
    f"{OP}-inl.h": f'#include "{OP}.cuh"',
    "baracuda/cpu/simd-inl.h": '#include <hwy/highway.h>\n#include "baracuda/device/numeric/lanes.cuh"',
    "baracuda/device/copy/row.cuh": '#include "baracuda/device/numeric/convert.cuh"',
    f"{OP}_kernels.h": f'auto text = R"({"x" * 200})";  // https://example.com/{"x" * 200}',
    f"{OP}_sm90.cuh": f'#include "{OP}.cuh"\n#include "baracuda/core/element.h"',
    f"{OP}_test.cc": f'#include "{OP}.cuh"\nconst char* text = R"(\n#include <regex>\nasm("x");)", *b = "getenv";',
    "baracuda/device/ptx/mma.cuh": f'// {"é" * 117}\nasm("mma");',
    "baracuda/core/env.cc": 'getenv("HOME");',
    "baracuda/cpu/parallel.cc": "#include <tbb/parallel_for.h>",
    "tools/main.cc": f'#include "testing/op.h"\n#include "{OP}.h"',
    "tools/bindings/bindings.cc": '#include "baracuda/capi/c_fields.h"',
    "examples/add.c": '#include "baracuda/capi/baracuda_c.h"',
    "python/src/native.cc": '#include "python/src/op.h"\n#include "baracuda/capi/baracuda_c.h"',
}


class Layering(unittest.TestCase):
    maxDiff = None


def add_tests(rule):
    def holds(self):
        tree = {str(path.relative_to(support.ROOT)): path.read_text()
                for folder in FOLDERS for path in sorted((support.ROOT / folder).rglob("*"))
                if path.suffix in SUFFIXES and VENDORED not in str(path)}
        info = support.build_info()
        self.assertEqual([], rule(tree, set(info["public_headers"]), set(info["kernel_core_headers"])))

    def can_fail(self):
        public, light = {"baracuda/baracuda.h", f"{OP}.h"}, {"baracuda/core/element.h"}
        self.assertEqual([], rule(SOUND, public, light))
        for tree in BROKEN[rule]:
            self.assertNotEqual([], rule(tree, public, light), tree)

    setattr(Layering, f"test_{rule.__name__}", holds)
    setattr(Layering, f"test_{rule.__name__}_can_fail", can_fail)


for rule in BROKEN:
    add_tests(rule)

if __name__ == "__main__":
    unittest.main()
