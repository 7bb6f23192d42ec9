"""Structured knowledge in plain Python and NumPy: scene graphs."""
