"""What the documents show is what is compiled and run."""

import re
import unittest

import support


class Docs(unittest.TestCase):
    def test_readme_shows_the_example(self):
        blocks = re.findall(r"^```cpp\n(.*?)^```$", (support.ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
        self.assertEqual([(support.ROOT / "examples/write_slice.cc").read_text()], blocks)


if __name__ == "__main__":
    unittest.main()
