"""Typed publish and subscribe inside the process."""
