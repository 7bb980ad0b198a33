"""What a call through C takes beside the C++ call."""

import subprocess
import unittest

import support

CALL_NS = 200  # more than C++'s run, of a call that is bound; and of each tensor where it is not


class CBench(unittest.TestCase):
    def test_calls_from_c_take_little_more(self):
        """The least of a hundred rounds, so what else the machine does is left out; and again where it does much."""
        for last in (False, False, True):
            result = subprocess.run([support.BUILD / "bin" / "baracuda_c_bench"], capture_output=True, text=True,
                                    timeout=100, check=True)
            rows = [line.rsplit(None, 4) for line in result.stdout.splitlines()[1:]]
            self.assertGreaterEqual(len(rows), 4)
            slow = []
            for name, tensors, cpp, call, run in rows:
                if int(call) - int(cpp) > CALL_NS or int(run) - int(cpp) > CALL_NS * int(tensors):
                    slow.append(name)
            if last or not slow:
                self.assertEqual([], slow, result.stdout)
                return


if __name__ == "__main__":
    unittest.main()
