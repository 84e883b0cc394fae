"""Compiling the kernel: numba reads the very functions that run uncompiled, and keeps its result in a folder."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from federation.broker.paths.kernel import ahead, search

Search = Callable[..., int]


def available() -> bool:
    """Whether what compiling needs is installed (the `broker` extra)."""
    return find_spec("numba") is not None


def compiled(folder: Path | None) -> Search:
    """`search.search` compiled when it is first called, and read from below `folder` if it was kept there."""
    import numba
    from numba.extending import register_jitable

    if folder is not None:
        numba.config.CACHE_DIR = str(folder / f"{numba.__version__}-{_digest()}")
    for function in (*_functions(ahead), *_functions(search)):
        if function is not search.search:
            register_jitable(function)
    made: Search = numba.njit(nogil=True, error_model="numpy", cache=folder is not None)(search.search)
    return made


def _functions(module: ModuleType) -> list[Any]:
    return [f for f in vars(module).values() if isinstance(f, FunctionType) and f.__module__ == module.__name__]


def _digest() -> str:
    """A name for this version of the sources: numba itself looks at one file only."""
    sources = (Path(module.__file__ or "") for module in (ahead, search))
    return blake2b(b"".join(source.read_bytes() for source in sources), digest_size=8).hexdigest()
