"""Benchmarks of composition, read from their authors' files: one file a benchmark.

settings = CompositionSuite(kind="sugarcrepe", annotations="sugar-crepe/data", images="val2017")
data = composition_set(settings, "/data", name="SugarCrepe", transform=EvaluationTransform(224))
"""

from kgclip_jax.data.suites.benchmarks import composition_set

__all__ = ["composition_set"]
