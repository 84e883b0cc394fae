"""What a stretch of the network costs and promises; pure arithmetic over integers.

`card` is what an operator configures per route class: rates per port, per Gb/s and per kilometre, and promises per
end, per hop and per kilometre. `along` adds promises up along a route without losing precision, `quote` prices a
stretch and says what it promises, and `billing` turns a lease's use into the lines of its bill. Offers and quotes
go through the same functions, so what is published adds up to what is quoted.
"""
