"""libFuzzer drives the C ABI for some seconds, where clang's libFuzzer is installed."""

import subprocess
import unittest

import support

FUZZER = support.BUILD / "bin" / "fuzz_c_call"


class Fuzz(unittest.TestCase):
    @unittest.skipUnless(FUZZER.exists(), "clang's libFuzzer is not installed")
    def test_calls_made_of_bytes(self):
        result = subprocess.run([FUZZER, "-seed=1", "-max_len=300", "-len_control=0", "-runs=20000"],
                                cwd=support.CACHE.name, capture_output=True, text=True, timeout=200)
        self.assertEqual(0, result.returncode, result.stderr[-4000:])
        self.assertIn("Done 20000 runs", result.stderr)


if __name__ == "__main__":
    unittest.main()
