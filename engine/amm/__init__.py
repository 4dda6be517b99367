"""Exact pool mathematics, one file per family, compiled, on integers as wide as the contracts'."""
