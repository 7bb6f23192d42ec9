"""Mesh and sharding, optimizer, loss, step, loop, and the hooks beside it."""
