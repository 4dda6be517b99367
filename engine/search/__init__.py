"""Cycle index, float screen, optimal sizing, exact verification, ranking."""
