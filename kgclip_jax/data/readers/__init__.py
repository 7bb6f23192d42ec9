"""Readers of stored pictures: one file a layout, each giving `kgclip_jax.data.records.Records`."""
