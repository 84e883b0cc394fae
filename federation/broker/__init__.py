"""The broker: finds operators, searches paths, quotes them as one, and orders them all or none.

`discovery` keeps every operator's sheet fresh, `paths` searches them (pure), `peers` speaks with one
operator, `quotes` turns a path into a firm quote, `orders` carries it to a lease and back, `store` keeps
what was acknowledged. `desk` is the application layer: what a buyer may ask, without any transport; `api`
are the transports, and `broker` puts everything together.
"""
