"""Held-out evaluation: recall, zero-shot classification and composition.

Works on any `kgclip_jax.types.Encoder`. Every number is a `Result` with its sample size, a 95 %
bootstrap interval and the value that chance would give.
"""
