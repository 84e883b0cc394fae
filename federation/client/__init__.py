"""How a program reaches a broker: typed answers over HTTP, problems raised as they were meant.

`agent` proves who asks, with a mandate and a key. `broker` holds `BrokerClient`, one method per operation of
`schemas/openapi/broker.yaml`; `lease` buys a path for the length of an `async with` block and releases it afterwards,
whatever happened inside. `retry` says what is tried again.
"""
