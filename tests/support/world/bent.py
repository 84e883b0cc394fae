"""Rules bent on purpose: a rule that can be broken without any promise breaking is not tested."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest

FUTURE = "from __future__ import annotations\n"
_BENT: dict[CodeType, str] = {}  # the source of what is bent already, for a second bend


def bend(patch: pytest.MonkeyPatch, function: Callable[..., Any], straight: str, crooked: str) -> None:
    """Replace a piece of a function's source, once, for everybody who already imported it."""
    source = _BENT.get(function.__code__) or textwrap.dedent(inspect.getsource(function))
    assert source.count(straight) == 1, f"{function.__name__} has no single '{straight}' to bend"
    source = source.replace(straight, crooked)
    module = compile(FUTURE + source, "bent", "exec")
    body = [code for code in module.co_consts if isinstance(code, CodeType) and code.co_name == function.__name__]
    patch.setattr(function, "__code__", body[0])
    _BENT[body[0]] = source
