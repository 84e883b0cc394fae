"""What is promised about Peerway, as tests.

The folders hold behaviour: of a module (`unit`), of a rule (`property`), of processes (`integration`).
`test_tidy` (rules in `tidy/`), `test_readme`, `test_generated`, `test_locks`, `test_make` and `test_package` hold the
repository.
Deterministic, on loopback only, warnings are errors; marker `long` keeps a test for `make test-long`.
"""
