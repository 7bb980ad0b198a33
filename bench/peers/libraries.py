"""Where NVIDIA's libraries are: in its wheels, or in a CUDA toolkit."""

from __future__ import annotations

import pathlib
import sys


def paths(name: str) -> list[str]:
    """Of lib`name`.so; in each folder, CUDA 13's first."""
    return [str(path) for folder in (*sys.path, "/usr/local/cuda/lib64")
            for pattern in (f"nvidia/c*/lib/lib{name}.so.1[23]", f"lib{name}.so.1[23]")
            for path in sorted(pathlib.Path(folder or ".").glob(pattern), key=lambda path: path.suffix, reverse=True)]
