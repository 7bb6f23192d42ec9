"""The towers: Flax NNX modules at the edges, pure functions of plain parameter dicts inside."""
