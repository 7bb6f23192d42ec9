"""An evaluation tried before training: all is read and asked, and nothing of a model computed."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from kgclip_jax import config
from kgclip_jax.cache import Cache
from kgclip_jax.data.evaluation_sets import EvaluationSet, fingerprint
from kgclip_jax.evaluation.tasks import evaluate
from kgclip_jax.inference import ClipEncoder, Pictures, read_rows
from kgclip_jax.knowledge.caption import Text
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.heads import RowFunction, init_head


class _Anybody(ClipEncoder):
    """An encoder that knows nothing, and costs nothing."""

    def __init__(self, experiment: config.Experiment) -> None:
        model, heads = Model(experiment.model), experiment.heads
        head_params = jax.eval_shape(
            lambda: {name: init_head(head, name, model.shape, 0) for name, head in heads.items()}
        )
        reading = preprocessing_for(experiment.model, experiment.tokenizers)
        super().__init__(
            model, model.abstract(), reading, step=0, heads=heads, head_params=head_params
        )
        self._rng = np.random.default_rng(0)

    def encode_image(self, images: Pictures) -> Float[np.ndarray, "b d"]:
        """Return random embeddings."""
        return self._embeddings(len(images))

    def encode_text(self, texts: Sequence[Text]) -> Float[np.ndarray, "b d"]:
        """Return random embeddings."""
        return self._embeddings(len(texts))

    def _embeddings(self, count: int) -> Float[np.ndarray, "b d"]:
        vectors = self._rng.normal(size=(count, self.model.shape.embedding)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def read(self, rows: Any, function: RowFunction, constants: Any = None) -> Any:
        """Return zeros of the right shapes; what does not fit together is found by that."""
        heads = tuple(self.heads.items())
        abstract = jax.eval_shape(
            lambda *arrays: read_rows(self.model, heads, function, None, *arrays),
            {"model": self.params, "heads": self._head_params},
            rows,
            constants,
        )
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)


def rehearse(experiment: config.Experiment, sets: Sequence[EvaluationSet], cache: Cache) -> None:
    """Go through an evaluation without a model: read all pictures, ask all that is asked.

    A run does this before its first step, lest it train until it finds what is wrong with them; and
    again where settings, texts or names of pictures have changed since. (A picture that has broken
    since is found at the next evaluation.)

    Args:
        experiment: whose sets they are.
        sets: what to evaluate on.
        cache: remembers what went well.

    Raises:
        DataError: see `evaluate`.
    """

    def try_it() -> None:
        evaluate(_Anybody(experiment), sets)

    if not sets:
        return
    data, pictures = experiment.data, sum(len(each.pictures) for each in sets)
    settings = experiment.sources, experiment.evaluation, data.path, data.bad_share
    cache(
        "rehearsal",
        f"{settings} {fingerprint(sets)}",
        try_it,
        f"evaluation is tried before training: {pictures:,} pictures, {len(sets)} sets",
    )
