"""Streams: what a batch is made of, any rows of any step by random access."""
