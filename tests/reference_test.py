"""The tables of tests/data are what their scripts write."""

import importlib.util
import subprocess
import sys
import unittest

import support


class Reference(unittest.TestCase):
    def test_elementwise(self):
        absent = [name for name in ("mpmath", "numpy", "scipy") if not importlib.util.find_spec(name)]
        if absent:
            self.skipTest(f"without {', '.join(absent)}")
        script = support.ROOT / "tests/data/elementwise/make_reference.py"
        checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
        self.assertEqual(0, checked.returncode, checked.stderr)


if __name__ == "__main__":
    unittest.main()
