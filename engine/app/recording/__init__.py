"""Recordings of the line's inputs, and their replay to the same decisions."""
