"""What every daemon stands on: the seams to the outside world and the adapters behind them.

`seams` names time and randomness, so that a whole federation can run from one seed; `sqlite` is the store's writer
thread with group commit; `config` reads TOML; `http` serves JSON and turns problems into RFC 9457 bodies; `bearer`
knows callers by key; `process` runs a daemon until it is told to stop. Rules never import this package.
"""
