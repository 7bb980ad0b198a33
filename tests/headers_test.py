"""Every public header compiles alone, without a warning, and drags in no header of the libraries behind it."""

import re
import subprocess
import tempfile
import unittest

import support

FOREIGN = re.compile(r"/(hwy|tbb|oneapi|fmt|openssl)/|/(cuda\w*|nvrtc)\.h")


class Headers(unittest.TestCase):
    def compile(self, header, language="c++", standard="c++20"):
        """The files that a file including only this header reads."""
        with tempfile.NamedTemporaryFile() as dependencies:
            compiler = support.build_info()["compiler" if language == "c++" else "c_compiler"]
            command = [compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wstrict-prototypes",
                       f"-I{support.ROOT}", "-fsyntax-only", "-MD", "-MF", dependencies.name, "-x", language, "-"]
            if language == "c++":
                command.remove("-Wstrict-prototypes")
            result = subprocess.run(command, input=f'#include "{header}"\n', capture_output=True, text=True)
            self.assertEqual(0, result.returncode, result.stderr)
            return dependencies.read().decode().split()

    def test_the_c_headers_are_c11_and_cpp11(self):
        for header in support.build_info()["c_headers"]:
            for language, standard in (("c", "c11"), ("c", "c17"), ("c++", "c++11"), ("c++", "c++20")):
                with self.subTest(header=header, standard=standard):
                    read = self.compile(header, language, standard)
                    self.assertEqual([], [path for path in read if FOREIGN.search(path)])

    def test_the_check_sees_a_foreign_header(self):
        self.assertTrue([path for path in self.compile("fmt/core.h") if FOREIGN.search(path)])


def add_test(header):
    def alone(self):
        self.assertEqual([], [path for path in self.compile(header) if FOREIGN.search(path)])
    setattr(Headers, "test_" + re.sub(r"\W", "_", header), alone)


for header in support.build_info()["public_headers"]:
    add_test(header)

if __name__ == "__main__":
    unittest.main()
