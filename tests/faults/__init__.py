"""Faults of every kind, done to a real study: what it comes to in the end must be the same bytes."""
