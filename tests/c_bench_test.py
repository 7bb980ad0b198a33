"""The measurement of calls through C runs. How long they take it tells, and no test."""

import subprocess
import unittest

import support


class CBench(unittest.TestCase):
    def test_measures_every_way_to_run(self):
        result = subprocess.run([support.BUILD / "bin" / "baracuda_c_bench"], capture_output=True, text=True,
                                timeout=100, check=True)
        head, *rows = result.stdout.splitlines()
        self.assertIn("call_run", head)
        self.assertGreaterEqual(len(rows), 4)
        for row in rows:
            _, tensors, *nanoseconds = row.rsplit(None, 4)
            self.assertGreater(int(tensors), 0)
            self.assertTrue(all(int(time) > 0 for time in nanoseconds), row)


if __name__ == "__main__":
    unittest.main()
