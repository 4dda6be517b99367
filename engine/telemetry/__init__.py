"""Logs and counts of every meaningful event."""
