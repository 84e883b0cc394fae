"""One harness under atheris: `python -m tests.fuzz.run HARNESS [-max_total_time=SECONDS] [CORPUS]`."""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["federation", "schemas"]):
    from tests.fuzz import harness


def main() -> None:
    """Until a crash, or the time is over."""
    program, name, *options = sys.argv
    atheris.Setup([program, *options], harness.HARNESSES[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
