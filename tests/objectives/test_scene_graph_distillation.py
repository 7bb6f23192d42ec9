"""Texts with their scene graphs teach the same texts without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import Features, Pairs
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.objective import Context
from kgclip_jax.objectives.scene_graph_distillation import SceneGraphDistillation
from tests.objectives.loss_contract import unit_rows

RNG = np.random.default_rng(0)
CONTEXT = Context(jnp.ones(()), None, 0)
PLAIN, WRONG = unit_rows(RNG, 5, 4), unit_rows(RNG, 10, 4).reshape(5, 2, 4)
ADDED, ADDED_TO_WRONG = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 2, 4))
EXISTS = np.array([[True, True], [True, False], [False, False], [True, True], [False, True]])


def features(plain, added):
    plain = jnp.asarray(plain, jnp.float32)
    return Features(plain + jnp.asarray(added, jnp.float32), None, None, plain)


def run(plain=PLAIN, added=ADDED, negatives=None):
    objective = SceneGraphDistillation()
    rows = Pairs(
        image=None,
        text=features(plain, added),
        ids=jnp.full((5, 2), -1, jnp.int32),
        negatives=negatives,
        negative_mask=None if negatives is None else jnp.asarray(EXISTS),
        negative_ids=None,
    )
    return objective.loss({}, objective.embed({}, rows, {}, CONTEXT), CONTEXT)


def distances(plain, added):
    whole = plain + added
    norms = np.linalg.norm(plain, axis=-1) * np.linalg.norm(whole, axis=-1)
    return 1 - (plain * whole).sum(-1) / norms


def test_it_is_the_mean_over_captions_and_the_negatives_that_exist():
    found = run(negatives=features(WRONG, ADDED_TO_WRONG))
    of_captions = distances(PLAIN, ADDED)
    of_negatives = distances(WRONG, ADDED_TO_WRONG)[EXISTS]
    assert found.loss == pytest.approx(np.concatenate([of_captions, of_negatives]).mean(), rel=1e-5)
    assert found.metrics["caption_distance"] == pytest.approx(of_captions.mean(), rel=1e-5)
    assert run().loss == pytest.approx(of_captions.mean(), rel=1e-5)


def test_graphs_that_add_nothing_teach_nothing():
    assert run(added=np.zeros_like(PLAIN)).loss == pytest.approx(0, abs=1e-6)


def test_what_negatives_hold_that_do_not_exist_does_not_matter():
    plain, broken = (
        jnp.asarray(np.where(EXISTS[..., None], x, np.nan), jnp.float32)
        for x in (WRONG, ADDED_TO_WRONG)
    )

    def loss(plain, added):
        return run(negatives=features(plain, added)).loss

    assert loss(plain, broken) == loss(jnp.asarray(WRONG, jnp.float32), ADDED_TO_WRONG)
    gradient = jax.grad(loss)(plain, broken)
    assert (jnp.abs(gradient).sum(-1) > 0).tolist() == EXISTS.tolist()


def test_only_texts_without_graphs_learn():
    """The gradient is that of the distance from a constant."""
    plain, added = (jnp.asarray(x, jnp.float32) for x in (PLAIN, ADDED))
    whole = plain + added

    def distance(x):
        cosines = (x * whole).sum(1) / jnp.linalg.norm(x, axis=1) / jnp.linalg.norm(whole, axis=1)
        return jnp.mean(1 - cosines)

    found = jax.grad(lambda x: run(x).loss)(plain)
    np.testing.assert_allclose(found, jax.grad(distance)(plain), atol=1e-6)
    nothing = jax.grad(lambda x: run(added=x).loss)(added)
    np.testing.assert_array_equal(nothing, 0)


def test_a_model_without_a_knowledge_encoder_is_refused():
    with pytest.raises(ValueError, match=r"have no graphs without config\.model\.knowledge"):
        SceneGraphDistillation().check(preset("quickstart"), {})
