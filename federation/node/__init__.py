"""What every daemon stands on: the seams to the outside world and the adapters behind them.

`seams` names time and randomness, so that a whole federation can run from one seed; `sqlite` is the store's writer
thread with group commit; `config` reads TOML; `http` serves JSON and turns problems into RFC 9457 bodies, `rpc` does
so for gRPC; `bearer` knows callers by key, `callers` by the certificate of their connection (`mtls`); `limits` says
how often they may call, `audit` what they are not told; `hatch` is for its owner; `dns` looks names up; `process` runs
a daemon until it is told to stop. Rules never import this package.
"""
