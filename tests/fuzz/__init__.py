"""Harnesses for coverage-guided fuzzing of whatever reads what strangers send.

`harness` says what must hold for any bytes; `test_harness` runs each on inputs that lead far inside, and under atheris
where that is installed; `run` is the process of atheris: `python -m tests.fuzz.run verify -max_total_time=300`.
"""
