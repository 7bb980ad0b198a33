"""Every public header compiles alone, without a warning, and drags in no header of the libraries behind it."""

import re
import subprocess
import tempfile
import unittest

import support

FOREIGN = re.compile(r"/(hwy|tbb|oneapi|fmt|openssl)/|/(cuda\w*|nvrtc)\.h")


class Headers(unittest.TestCase):
    def compile(self, header):
        """The files that a file including only this header reads."""
        with tempfile.NamedTemporaryFile() as dependencies:
            command = [support.build_info()["compiler"], "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                       f"-I{support.ROOT}", "-fsyntax-only", "-MD", "-MF", dependencies.name, "-x", "c++", "-"]
            result = subprocess.run(command, input=f'#include "{header}"\n', capture_output=True, text=True)
            self.assertEqual(0, result.returncode, result.stderr)
            return dependencies.read().decode().split()

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
