"""Benchmarks of composition, read from their authors' files: one file a benchmark."""
