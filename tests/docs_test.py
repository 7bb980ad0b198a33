"""What the documents show is what is compiled and run."""

import re
import textwrap
import unittest

import support


class Docs(unittest.TestCase):
    def test_readme_shows_the_example(self):
        blocks = re.findall(r"^```cpp\n(.*?)^```$", (support.ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
        self.assertEqual([(support.ROOT / "examples/write_slice.cc").read_text()], blocks)

    def test_readme_shows_a_part_of_the_c_example(self):
        blocks = re.findall(r"^```c\n(.*?)^```$", (support.ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
        example = (support.ROOT / "examples/elementwise.c").read_text()
        self.assertEqual(1, len(blocks))
        self.assertIn(textwrap.indent(blocks[0], "  "), example)

    def test_the_page_of_checkpoints_shows_a_part_of_the_example(self):
        page = (support.ROOT / "docs/checkpoint.md").read_text()
        blocks = re.findall(r"^```cpp\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        self.assertEqual(1, len(blocks))
        self.assertIn(textwrap.indent(blocks[0], "  "), (support.ROOT / "examples/checkpoint.cc").read_text())

    def test_links_lead_to_files(self):
        for page in [*support.ROOT.glob("*.md"), *support.ROOT.glob("docs/**/*.md")]:
            for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
                with self.subTest(page=page, link=link):
                    self.assertTrue((page.parent / link).exists())


if __name__ == "__main__":
    unittest.main()
