"""What a Python test knows of the build that it tests."""

import json
import os
import pathlib
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("BARACUDA_TEST_BUILD", "build/release")
DEVICE = os.environ.get("BARACUDA_TEST_DEVICE")  # "cpu", "cuda", or None for those present
TOOL = BUILD / "bin" / "baracuda"

# What tests compile does not reach the user's cache. Removed at the end.
CACHE = tempfile.TemporaryDirectory(prefix="baracuda-cache-of-tests-")
os.environ["BARACUDA_CACHE_DIR"] = CACHE.name
# Nor do they take kernels from the user's packs.
os.environ["BARACUDA_KERNEL_PACK"] = ""


def build_info():
    """compiler, c_compiler, public_headers, c_headers, kernel_core_headers, examples: written by CMakeLists.txt."""
    return json.loads((BUILD / "tests.json").read_text())
