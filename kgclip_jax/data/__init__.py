"""From photographs or drawn worlds to batches of uint8 pictures and token ids, in Grain workers.

Nothing here imports JAX of its own or touches a device.
"""
