"""Policies as data: what Cedar policies may ask, and the policies that come with Peerway.

`peerway.cedarschema` names every fact, action and circumstance; the `.cedar` files are the shipped policies, each with
its cases in `cases/`. `texts` reads them from the package. `case` is the format of a case file.
"""
