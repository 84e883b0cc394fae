"""Compiling the kernel: numba reads the very functions that run uncompiled, and keeps its result in a folder."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from federation.broker.paths.kernel import ahead, heaps, label, landmarks, live, search


class Code(NamedTuple):
    """The functions that an engine runs."""

    search: Callable[..., int] = search.search
    measure: Callable[..., None] = landmarks.measure
    undercut: Callable[..., bool] = ahead.undercut
    write: Callable[..., None] = live.write


def available() -> bool:
    """Whether what compiling needs is installed (the `broker` extra)."""
    return find_spec("numba") is not None


def compiled(folder: Path | None) -> Code:
    """The functions compiled when they are first called, and read from below `folder` if they were kept there."""
    import numba
    from numba.extending import register_jitable

    if folder is not None:
        vars(numba.config)["CACHE_DIR"] = str(folder / f"{numba.__version__}-{_digest()}")
    entries = Code()
    for function in chain.from_iterable(map(_functions, (heaps, ahead, label, search))):
        if function not in entries:
            register_jitable(function)
    jit: Any = numba.njit(nogil=True, error_model="numpy", cache=folder is not None)
    return Code(*map(jit, entries))


def _functions(module: ModuleType) -> list[Any]:
    return [f for f in vars(module).values() if isinstance(f, FunctionType) and f.__module__ == module.__name__]


def _digest() -> str:
    """A name for this version of the sources: numba itself looks at one file only."""
    sources = (Path(module.__file__ or "") for module in (ahead, heaps, label, landmarks, live, search))
    return blake2b(b"".join(source.read_bytes() for source in sources), digest_size=8).hexdigest()
