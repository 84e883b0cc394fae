"""What the operator publishes: offers, non-binding, derived from its network and from what is free in it.

`layout` decides what is on sale (a mesh of interfaces, or an abstract graph), `steps` and `items` render it with
the capacity and labels free now, `pages` cuts it into pages and delta batches within their size caps. All of these
are pure. `publisher` signs, keeps the current sheet and a bounded history of deltas, and serves whoever watches.
"""
