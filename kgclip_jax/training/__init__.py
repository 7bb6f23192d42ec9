"""Mesh and sharding, optimizer, step, loop, hooks, checkpoints, and the run that joins them."""
