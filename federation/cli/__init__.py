"""The `peerway` command: what a buyer, an agent's operator and a demo need at a terminal.

`main` finds commands by name and imports each only when it is called; `units` reads and writes quantities as people
do; `options` are the words that several commands share; `exits` says what each exit status means; `connection` finds
the broker; `tables` and `sheets` draw answers. The commands lie beside them, the demo in `demo/`.
"""
