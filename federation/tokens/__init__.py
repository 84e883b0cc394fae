"""What may be done: authority that only shrinks, and the tokens that carry it.

`narrows` compares two authorities, `reach` one with what is asked; `mandate` and `grant` verify what a buyer and a
UNI's owner signed; `dpop`, `access` and `assertion` make and verify what goes with a call; `replay` says what was seen
before; `agents` answers at a broker's token endpoint and `agent_gate` before its other ones, `brokers` at an operator's
token endpoint. All of these are pure: bytes, keys and a time go in, a trusted object or a `Problem` comes out. `http`
mounts an endpoint, `sqlite` keeps a replay filter.
"""
