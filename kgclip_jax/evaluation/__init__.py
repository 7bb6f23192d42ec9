"""Held-out evaluation: recall, zero-shot classification, linear probes, composition.

`tasks.evaluate(encoder, sets)` works on any `Encoder`. Every number is a `Result` with its sample
size, a 95 % bootstrap interval and the value that chance would give.
"""
