"""One module per command of the `roundtrip` console script."""
