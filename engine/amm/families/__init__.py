"""Families compiled on their own: each is a C function over a pool's words, called by its address.

A caller holds only the address (`PoolArrays.calls`), so a family's machine code is made once and compiling a
search does not compile the families again. `table.make_ready` fills the addresses in, for the kinds in use.
"""
