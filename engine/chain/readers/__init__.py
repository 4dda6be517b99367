"""Reading pools' state from their contracts, one module per kind of protocol."""
