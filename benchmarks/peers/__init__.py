"""Peers in environments of their own, made on demand and never mixed with ours."""
