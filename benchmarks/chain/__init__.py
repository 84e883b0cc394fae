"""A chain of operators, a broker and a buyer as processes of their own, and what an order through them costs.

`federation.py` draws and starts the chain, everything on; `buyer.py` is the buyer's process, told line by line what to
do, and `buying.py` this end of it. `echo.py` is the floor: a node of the same stack that verifies a document, writes it
down and signs one back; `floor.py` starts a broker and operators of that kind. `meter.py` reads the processor time of
processes, `books.py` counts wrong labels and oversold capacity in the operators' own stores, `spread.py` says what a
list of times comes to.
"""
