"""The cases that every objective on captioned pictures has to pass."""

import importlib
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import Features, Pairs
from kgclip_jax.errors import ConfigError
from kgclip_jax.objectives.ce_clip import CeClip
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.liveness import used_arguments
from kgclip_jax.objectives.objective import OBJECTIVES, Objective
from kgclip_jax.objectives.scene_graph_distillation import SceneGraphDistillation
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.objectives.structure_clip_code import StructureClipCode
from tests.objectives.pairs_of_rows import CONTEXT, GOLDEN, features, run

READ_NEGATIVES = [
    Contrastive(negatives=True),
    Contrastive(form="sigmoid", negatives=True),
    StructureClip(),
    StructureClipCode(),
    CeClip(),
]
ALL = [Contrastive(), Contrastive(form="sigmoid"), *READ_NEGATIVES]


@pytest.mark.parametrize(("kind", "place"), OBJECTIVES.places.items())
def test_each_kind_stands_where_it_is_said_to(kind, place):
    module, name = place.split(":")
    settings = {"teacher": "clip"} if kind == "distillation" else {}
    objective = getattr(importlib.import_module(module), name)(**settings)
    assert isinstance(objective, Objective)
    assert fields(objective)[0].name == "kind"
    assert (objective.kind, objective.weight) == (kind, 1.0)
    with_heads = {
        "triplets": "graph",
        "graph": "neighbourhoods",
        "link_prediction": "edges",
        "classification": "labelled",
    }
    taught = ("text_distillation", "concepts")
    assert objective.stream == with_heads.get(kind, "captions")
    assert bool(objective.heads) == (kind in (*with_heads, *taught))


def test_embed_returns_what_the_loss_reads_and_no_more():
    """Else towers would run for nothing, or vectors be kept for nothing."""
    text = {"image.pooled", "text.pooled"}
    ids, plain = {"ids"}, {"text.plain", "negatives.plain", "negative_mask"}
    negatives = {"negatives.pooled", "negative_mask"}
    expected = {
        Contrastive(): text | ids,
        Contrastive(form="sigmoid", negatives=True): text | ids | negatives | {"negative_ids"},
        StructureClip(): text | ids | negatives,
        StructureClipCode(): text | ids | plain,
        CeClip(): text | negatives | plain,
        SceneGraphDistillation(): {"text.pooled"} | negatives | plain,
    }
    graphs = GOLDEN._replace(
        text=features(GOLDEN.text.pooled, plain=GOLDEN.text.pooled + 1),
        negatives=features(GOLDEN.negatives.pooled, plain=GOLDEN.negatives.pooled + 1),
    )
    for objective, names in expected.items():
        embedded = objective.embed({}, graphs, {}, CONTEXT)
        embed = jax.make_jaxpr(lambda rows, o=objective: o.embed({}, rows, {}, CONTEXT))(graphs)
        assert names_of(used_arguments(embed.jaxpr, graphs)) == names
        loss = jax.make_jaxpr(lambda v, o=objective: o.loss({}, v, CONTEXT).loss)(embedded)
        assert all(jax.tree.leaves(used_arguments(loss.jaxpr, embedded))), objective


def names_of(rows: Pairs) -> set[str]:
    """Names of the leaves that are true."""
    names = set()
    for name, node in rows._asdict().items():
        parts = node._asdict() if isinstance(node, Features) else {"": node}
        names |= {f"{name}.{part}".rstrip(".") for part, used in parts.items() if used}
    return names


@pytest.mark.parametrize("objective", READ_NEGATIVES, ids=repr)
def test_a_stream_without_negatives_is_an_error(objective):
    rows = GOLDEN._replace(negatives=None, negative_mask=None, negative_ids=None)
    with pytest.raises(ConfigError, match=r"set config\.streams\.photos\.negatives"):
        run(replace(objective, stream="photos"), rows)


@pytest.mark.parametrize("objective", READ_NEGATIVES, ids=repr)
def test_absent_negatives_change_nothing(objective):
    rubbish = jnp.concatenate([GOLDEN.negatives.pooled, jnp.full((3, 1, 3), jnp.nan)], axis=1)
    padded = GOLDEN._replace(
        negatives=features(rubbish),
        negative_mask=jnp.array([[True, False]] * 3),
        negative_ids=jnp.full((3, 2), -1, jnp.int32),
    )

    def loss(text, rows):
        return run(objective, rows._replace(text=features(text))).loss

    # CE-CLIP counts the places of those that are absent, as its authors do.
    finite = padded._replace(negatives=features(jnp.nan_to_num(rubbish)))
    other = finite if isinstance(objective, CeClip) else GOLDEN
    for mine, expected in zip(
        jax.value_and_grad(loss)(GOLDEN.text.pooled, padded),
        jax.value_and_grad(loss)(GOLDEN.text.pooled, other),
        strict=True,
    ):
        np.testing.assert_allclose(mine, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("objective", [o for o in ALL if not isinstance(o, CeClip)], ids=repr)
def test_equal_captions_are_no_negatives(objective):
    """Pairs 0 and 2 have one caption: four of the six other pairs are compared."""
    ids = jnp.array([[5, 1], [6, 2], [5, 3]], jnp.int32)
    result, plain = run(objective, GOLDEN._replace(ids=ids)), run(objective)
    others = 6 + 9 * getattr(objective, "negatives", False)
    np.testing.assert_allclose(result.metrics["equal_pairs"], 2 / others, rtol=1e-6)
    assert result.loss < plain.loss


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("objective", [o for o in ALL if not isinstance(o, CeClip)], ids=repr)
def test_loops_over_chunks_if_told_to(objective, loops):
    objective = replace(objective, chunk_size=2 if loops else 3)
    program = jax.make_jaxpr(lambda rows: run(objective, rows))(GOLDEN)
    assert ("scan[" in str(program)) == loops
