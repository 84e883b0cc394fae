"""How fast the path search is beside what else a Python user could pick, on the same graphs and questions.

`make bench-paths` runs `paths`: `caida` makes the federation, `digraph` flattens it for the peers in `peers`,
`questions` asks, `ours` answers and `timing` alternates. `shortest`, `constrained` and `upkeep` are what is measured,
`agreement` is what must hold meanwhile, and `figures` holds the result against its bars. Graphs and results lie in
benchmarks/out. docs/BENCHMARKS.md explains it to a reader.
"""
