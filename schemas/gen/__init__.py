"""Stubs generated from `schemas/proto` by `make proto`; committed, and compared with a fresh run by the tests.

Nothing here is written by hand.
"""
