"""Link prediction against plain loops in float64."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import EdgeBlock
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.entity_table import EntityTableHead
from kgclip_jax.models.heads import bind_head, init_head
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.link_prediction import LinkPrediction
from kgclip_jax.objectives.objective import Context

ENTITIES, RELATIONS, B, K = 7, 2, 5, 3
HEAD = EntityTableHead(scorer="complex", entities=ENTITIES, relations=RELATIONS, width=4, std=1.0)
CONTEXT = Context(
    jnp.asarray(1.0),
    None,
    0,
    {"relations": np.zeros(RELATIONS, np.float32), "entities": np.zeros(ENTITIES, np.float32)},
)
rng = np.random.default_rng(0)
ROWS = EdgeBlock(
    ids=jnp.asarray(rng.integers([ENTITIES, RELATIONS, ENTITIES], size=(B, 3)), jnp.int32),
    negatives=jnp.asarray(rng.integers(ENTITIES, size=(B, K)), jnp.int32),
    of_head=jnp.asarray(rng.random((B, K)) < 0.5),
    negative_mask=jnp.asarray([[1, 1, 1], [1, 0, 1], [0, 0, 0], [1, 1, 0], [1, 1, 1]], bool),
)


def table(head=HEAD):
    return bind_head(head, preset("tiny"), init_head(head, "table", preset("tiny"), 0))


def run(objective, rows=ROWS, context=CONTEXT, module=None):
    heads = {"table": table() if module is None else module}
    return objective.loss(heads, objective.embed(heads, rows, {}, context), context)


def score(module, h, r, t):
    parts = (np.float64(x) for x in (module.entities[...], module.relations[...]))
    entities, relations = (x[:, :2] + 1j * x[:, 2:] for x in parts)
    return (entities[h] * relations[r] * entities[t].conj()).sum().real


def test_all_is_cross_entropy_over_all_entities_at_both_ends():
    module, total = table(), 0.0
    for h, r, t in ROWS.ids.tolist():
        own = score(module, h, r, t)
        for others in (
            [score(module, h, r, e) for e in range(ENTITIES)],
            [score(module, e, r, t) for e in range(ENTITIES)],
        ):
            total += (np.log(np.exp(others).sum()) - own) / 2
    assert run(LinkPrediction()).loss == pytest.approx(total / B, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_sampled_is_rotate_s_loss(temperature):
    objective = LinkPrediction(form="sampled", margin=2.0, adversarial_temperature=temperature)
    module, total = table(), 0.0

    def log_sigmoid(x):
        return -np.log1p(np.exp(-x))

    for row, (h, r, t) in enumerate(ROWS.ids.tolist()):
        wrong = np.array(
            [
                score(module, e, r, t) if of_head else score(module, h, r, e)
                for e, of_head, there in zip(
                    ROWS.negatives[row].tolist(),
                    ROWS.of_head[row].tolist(),
                    ROWS.negative_mask[row].tolist(),
                    strict=True,
                )
                if there
            ]
        )
        shares = np.exp(temperature * wrong)
        apart = np.sum(shares / shares.sum() * log_sigmoid(-2 - wrong)) if len(wrong) else 0
        total -= (log_sigmoid(2 + score(module, h, r, t)) + apart) / 2
    assert run(objective).loss == pytest.approx(total / B, rel=1e-5)


def test_absent_negatives_change_nothing():
    objective = LinkPrediction(form="sampled")
    other = jnp.where(ROWS.negative_mask, ROWS.negatives, 0)

    def loss(entities, negatives):
        params = init_head(HEAD, "table", preset("tiny"), 0) | {"entities": entities}
        module = bind_head(HEAD, preset("tiny"), params)
        return run(objective, ROWS._replace(negatives=negatives), module=module).loss

    entities = table().entities[...]
    for one, two in zip(
        jax.value_and_grad(loss)(entities, ROWS.negatives),
        jax.value_and_grad(loss)(entities, other),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_cubes_are_added():
    module = table()
    plain, more = run(LinkPrediction()), run(LinkPrediction(regularisation=0.01))
    rows = [
        np.concatenate([module.entities[...][h], module.relations[...][r], module.entities[...][t]])
        for h, r, t in ROWS.ids.tolist()
    ]
    expected = 0.01 * np.mean(np.sum(np.abs(rows) ** 3, axis=1))
    assert more.loss - plain.loss == pytest.approx(expected, rel=1e-4)
    assert more.metrics["link_loss"] == plain.metrics["link_loss"]


@pytest.mark.parametrize(
    ("objective", "head", "said"),
    [
        (LinkPrediction(), replace(HEAD, entities=9), r"table\.entities must be 7"),
        (LinkPrediction(), replace(HEAD, relations=9), r"table\.relations must be 2"),
        (LinkPrediction(form="sampled"), HEAD, r"edges\.negatives must be positive"),
    ],
)
def test_what_does_not_fit_the_graph_is_refused(objective, head, said):
    rows = jax.tree.map(lambda leaf: leaf[:, :0] if leaf.shape[1:] == (K,) else leaf, ROWS)
    rows = rows._replace(ids=ROWS.ids)
    with pytest.raises(ConfigError, match=said):
        run(objective, rows, module=table(head))
