"""Generated stubs of the mesh between brokers and operators."""
