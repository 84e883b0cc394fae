"""Who calls this broker, and under which authority: nothing that a buyer asks for is done without one.

`power` is what somebody acts under: a mandate that a buyer signed, or the limits that the configuration sets for the
owner of a bearer key. `asked` holds intents, paths and prices against it; both are pure. `access` is how a
configuration names buyers, `buyers` who may have which power; `door` finds the power behind a request.
"""
