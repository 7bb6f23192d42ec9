"""Structure-CLIP's objective of the paper, and that of the code, against the authors' functions.

0.286667, mild 0.260000: `WinoLoss`, and 0.066667: `MarginLoss`, of model/utils.py in
github.com/zjukg/Structure-CLIP, commit 1383d68; model/train.py adds them up, the second five times.
0.609394: the softmax loss, see `test_contrastive.py`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.objectives.structure_clip_code import StructureClipCode
from tests.objectives.pairs_of_rows import CONTEXT, GOLDEN, features, run


@pytest.mark.parametrize(
    ("objective", "step", "expected"),
    [
        (StructureClipCode(), 100, 0.286667 + 5 * 0.066667),
        (StructureClipCode(), 99, 0.260000 + 5 * 0.066667),
        (StructureClipCode(negative_weight=0.0), 1000, 0.286667),
        (StructureClip(), 1000, 0.609394 + 0.066667),
        (StructureClip(negative_weight=0.0), 1000, 0.609394),
    ],
)
def test_golden_values(objective, step, expected):
    context = CONTEXT._replace(step=jnp.asarray(step))
    loss, metrics = jax.jit(lambda rows, context: run(objective, rows, context))(GOLDEN, context)
    np.testing.assert_allclose(loss, expected, atol=2e-6)
    parts = metrics["batch_loss"] + objective.negative_weight * metrics["negative_loss"]
    np.testing.assert_allclose(parts, expected, atol=2e-6)


def test_the_code_has_no_temperature():
    def loss(scale, objective):
        return run(objective, context=CONTEXT._replace(logit_scale=scale)).loss

    assert jax.grad(loss)(14.0, StructureClip()) != 0
    assert jax.grad(loss)(14.0, StructureClipCode()) == 0


def test_the_paper_compares_negatives_with_their_graphs_and_the_code_without():
    text, negatives = GOLDEN.text.pooled, GOLDEN.negatives.pooled
    graphs = GOLDEN._replace(
        text=features(text + 0.3, plain=text), negatives=features(negatives, plain=negatives - 0.2)
    )
    paper, code = (run(objective, graphs) for objective in (StructureClip(), StructureClipCode()))
    gaps = np.diag(np.asarray(text)) - np.diag(np.asarray(negatives)[:, 0])
    hinges = [np.maximum(0.1 - gaps - more, 0).mean() for more in (0.3, 0.2)]
    np.testing.assert_allclose(paper.metrics["negative_loss"], hinges[0], atol=1e-7)
    np.testing.assert_allclose(code.metrics["negative_loss"], hinges[1], atol=1e-7)
    shifted = run(StructureClipCode(), GOLDEN._replace(text=features(text + 0.3)))
    np.testing.assert_allclose(code.metrics["batch_loss"], shifted.metrics["batch_loss"])
