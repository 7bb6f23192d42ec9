"""The knowledge-enhanced encoder: what it adds, what it must not see, and what it leaves alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from kgclip_jax.batch import Images, Pairs, Texts, Triples
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model, normalise
from kgclip_jax.models.flops import knowledge_flops, step_work
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.objective import Context
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.objectives.structure_clip_code import StructureClipCode
from tests.models.embedded import embed

TINY = preset("tiny")
WORDS, PIECES, TRIPLES, LENGTH = 60, 40, 4, 3
OWN = spec.Transformer(width=24, depth=2, heads=3, mlp_width=40, norm_eps=1e-12)
SHARED = replace(TINY.text.transformer, norm_eps=1e-12)
PLAIN = replace(TINY, text=replace(TINY.text, vocabulary=WORDS, eos_id=WORDS - 1))
TEXT = spec.KnowledgeEncoder(SHARED, triples=TRIPLES, element_length=LENGTH)
WORDPIECE = spec.KnowledgeEncoder(
    OWN, triples=TRIPLES, element_length=LENGTH, elements="wordpiece", vocabulary=PIECES
)
BOTH = pytest.mark.parametrize("knowledge", [TEXT, WORDPIECE], ids=lambda k: k.elements)
OBJECTIVES = [Contrastive(), StructureClip(), StructureClipCode()]


def filled(shapes):
    """Parameters of ordinary size, none of them at its initial value."""
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: 0.3 * jnp.asarray(rng.standard_normal(leaf.shape), jnp.float32), shapes
    )


def with_knowledge(knowledge=TEXT, **changes):
    """A model, its parameters, and those of its towers."""
    model = Model(replace(PLAIN, knowledge=replace(knowledge, **changes)))
    params = filled(model.abstract())
    return model, params, {name: params[name] for name in params if name != "knowledge"}


def make_triples(counts, seed=0):
    """As many triples for each text as `counts` says; short elements, as tokenizers make them."""
    rng = np.random.default_rng(seed)
    counts = np.asarray(counts)
    tokens = rng.integers(0, PIECES, (*counts.shape, TRIPLES, 3, LENGTH)).astype(np.int32)
    lengths = rng.integers(1, LENGTH + 1, tokens.shape[:-1])
    tokens = np.where(np.arange(LENGTH) < lengths[..., None], tokens, -1).astype(np.int32)
    mask = np.arange(TRIPLES) < counts[..., None]
    return Triples(np.where(mask[..., None, None], tokens, -1).astype(np.int32), mask)


def make_tokens(*shape, seed=0):
    tokens = np.random.default_rng(seed).integers(1, WORDS - 1, (*shape, 9)).astype(np.int32)
    tokens[..., -1] = WORDS - 1
    return jnp.asarray(tokens)


COUNTS = [[4, 3], [2, 1], [1, 0], [0, 4]]  # triples of each caption and of its negative


def make_batch():
    side = PLAIN.vision.image_size
    images = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    tokens = make_tokens(4, 2)
    mask = np.array([[True], [True], [True], [False]])
    triples = make_triples(COUNTS)
    captions, negatives = (Triples(*(a[:, part] for a in triples)) for part in (0, slice(1, None)))
    ids = jnp.arange(8).reshape(4, 2)
    return Pairs(
        image=Images(jnp.asarray(images)),
        text=Texts((tokens[:, 0],), captions),
        ids=ids,
        negatives=Texts((tokens[:, 1:],), negatives),
        negative_mask=jnp.asarray(mask),
        negative_ids=100 + jnp.arange(4)[:, None],
    )


def without_triples(batch):
    bare = {name: getattr(batch, name)._replace(triples=None) for name in ("text", "negatives")}
    return batch._replace(**bare)


def losses(model, features):
    context = Context(jnp.asarray(10.0), None, 0)
    return [
        objective.loss({}, objective.embed({}, features, {}, context), context)
        for objective in OBJECTIVES
    ]


def encoded(model, params, triples):
    texts = Texts((make_tokens(len(triples.mask)),), triples)
    return np.asarray(embed(model, params, texts).pooled)


@BOTH
def test_a_weight_of_zero_is_exactly_clip(knowledge):
    model, params, towers = with_knowledge(knowledge, weight=0.0)
    batch = make_batch()
    mine = embed(model, params, batch)
    expected = embed(Model(PLAIN), towers, without_triples(batch))
    for name in ("text", "negatives", "image"):
        own, other = getattr(mine, name), getattr(expected, name)
        np.testing.assert_array_equal(own.pooled, other.pooled)
    for own, other in zip(losses(model, mine), losses(model, expected), strict=True):
        np.testing.assert_array_equal(own.loss, other.loss)


@BOTH
def test_the_length_of_a_text_is_within_the_weight_of_one(knowledge):
    model, params, towers = with_knowledge(knowledge)
    triples = make_triples([1, 2, 3, 4] * 8)
    rows = encoded(model, params, triples)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((lengths >= 0.8 - 1e-6) & (lengths <= 1.2 + 1e-6))
    assert np.ptp(lengths) > 0.01
    plain = encoded(Model(PLAIN), towers, triples)
    np.testing.assert_allclose(np.linalg.norm(rows - plain, axis=1), 0.2, rtol=1e-4)


def triple_vectors(model, params, triples):
    """What the blocks are given, read from the module."""
    module = model.bind(params)
    elements = module.knowledge.elements(jnp.asarray(triples.tokens), module.text.embedding[...])
    return np.asarray(elements), np.asarray(module.knowledge.combine(elements))


@BOTH
def test_a_triple_is_head_plus_relation_minus_tail(knowledge):
    model, params, _ = with_knowledge(knowledge)
    triples = make_triples([4, 4])
    turned = Triples(triples.tokens[:, :, ::-1], triples.mask)
    elements, forth = triple_vectors(model, params, triples)
    _, back = triple_vectors(model, params, turned)
    head, relation, tail = np.moveaxis(elements, 2, 0)
    np.testing.assert_allclose(forth + back, 2 * relation, atol=1e-5)
    np.testing.assert_allclose(forth - back, 2 * (head - tail), atol=1e-5)
    rows = [encoded(model, params, each) for each in (triples, turned)]
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


def test_other_combinations_of_a_triple():
    triples = make_triples([4, 4])
    model, params, _ = with_knowledge(TEXT, combination="sum")
    elements, vectors = triple_vectors(model, params, triples)
    np.testing.assert_allclose(vectors, elements.sum(axis=2), atol=1e-6)
    model, params, _ = with_knowledge(TEXT, combination="linear")
    elements, vectors = triple_vectors(model, params, triples)
    linear = params["knowledge"]["combination"]
    flat = elements.reshape(*elements.shape[:2], -1)
    np.testing.assert_allclose(vectors, flat @ linear["kernel"] + linear["bias"], atol=1e-5)


def test_the_row_of_padding_is_not_trained():
    model, params, _ = with_knowledge(WORDPIECE)
    tokens = make_triples([4]).tokens.copy()
    tokens[..., -1] = 0

    def loss(params):
        module = model.bind(params)
        elements = module.knowledge.elements
        return jnp.square(elements(jnp.asarray(tokens), module.text.embedding[...])).sum()

    pieces = jax.jit(jax.grad(loss))(params)["knowledge"]["pieces"]
    moved = np.abs(pieces["embedding"]).max(axis=1)
    assert moved[0] == 0 < moved[tokens[0, 0, 0, 0]]
    assert np.abs(pieces["token_type"]).max() > 0


def test_elements_of_text_tokens_are_averages_of_those_there_are():
    model, params, _ = with_knowledge(TEXT)
    tokens = np.full((1, TRIPLES, 3, LENGTH), -1, np.int32)
    tokens[0, 0, 0, :2] = 5, 7
    table = np.asarray(params["text"]["embedding"])
    elements, _ = triple_vectors(model, params, Triples(tokens, np.ones((1, TRIPLES), bool)))
    np.testing.assert_allclose(elements[0, 0, 0], (table[5] + table[7]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(elements[0, 0, 1], 0)


@pytest.mark.parametrize(("knowledge", "readout"), [(TEXT, "first"), (WORDPIECE, "mean")])
def test_empty_slots_never_matter(knowledge, readout):
    model, params, _ = with_knowledge(knowledge, readout=readout)
    triples = make_triples([1, 2, 3, 0])
    rubbish = make_triples([TRIPLES] * 4, seed=9).tokens
    disturbed = np.where(triples.mask[..., None, None], triples.tokens, rubbish)

    def loss(knowledge, tokens):
        texts = Texts((make_tokens(4),), Triples(tokens, triples.mask))
        rows = embed(model, params | {"knowledge": knowledge}, texts).pooled
        return (rows * jnp.arange(rows.shape[1])).sum(), rows

    grad = jax.jit(jax.grad(loss, has_aux=True))
    (gradient, rows), (other, others) = (
        grad(params["knowledge"], tokens) for tokens in (triples.tokens, disturbed)
    )
    np.testing.assert_allclose(rows, others, atol=1e-6)
    for mine, theirs in zip(*map(jax.tree.leaves, (gradient, other)), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@BOTH
def test_a_text_without_a_graph_is_plain_clip_among_neighbours_that_have_one(knowledge):
    model, params, towers = with_knowledge(knowledge)
    rows = encoded(model, params, make_triples([3, 0, 1, 0]))
    plain = encoded(Model(PLAIN), towers, make_triples([0] * 4))
    np.testing.assert_array_equal(rows[[1, 3]], plain[[1, 3]])
    assert np.all(np.abs(rows - plain)[[0, 2]].max(axis=1) > 1e-2)


@BOTH
def test_the_mean_has_no_order_and_the_first_readout_has_a_first_triple_alone(knowledge):
    triples = make_triples([3, 4])
    later = Triples(triples.tokens[:, [0, 2, 1, 3]], triples.mask)
    sooner = Triples(triples.tokens[:, [1, 0, 2, 3]], triples.mask)
    for readout in ("first", "mean"):
        model, params, _ = with_knowledge(knowledge, readout=readout)
        rows, after_later, after_sooner = (
            encoded(model, params, each) for each in (triples, later, sooner)
        )
        np.testing.assert_allclose(rows, after_later, atol=1e-6)
        if readout == "mean":
            np.testing.assert_allclose(rows, after_sooner, atol=1e-6)
        else:
            assert np.abs(rows - after_sooner).max() > 1e-3


@BOTH
def test_captions_and_negatives_in_one_pass_are_as_each_alone(knowledge):
    model, params, towers = with_knowledge(knowledge)
    batch = make_batch()
    together = embed(model, params, batch)
    plain = embed(Model(PLAIN), towers, without_triples(batch))
    for name in ("text", "negatives"):
        alone = embed(model, params, getattr(batch, name))
        features = getattr(together, name)
        np.testing.assert_allclose(features.pooled, alone.pooled, atol=1e-6)
        np.testing.assert_allclose(features.plain, getattr(plain, name).pooled, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES[1:], ids=lambda objective: objective.kind)
def test_the_hinge_on_negatives_trains_the_encoder_in_the_paper_alone(objective):
    model, params, _ = with_knowledge(WORDPIECE)
    batch = make_batch()

    def hinge(knowledge):
        context = Context(jnp.asarray(10.0), None, 0)
        features = embed(model, params | {"knowledge": knowledge}, batch)
        vectors = objective.embed({}, features, {}, context)
        return objective.loss({}, vectors, context).metrics["negative_loss"]

    value, gradients = jax.jit(jax.value_and_grad(hinge))(params["knowledge"])
    assert value > 0
    largest = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradients)]
    if objective.kind == "structure_clip_code":
        assert set(largest) == {0.0}
    else:
        assert max(largest) > 1e-5


def test_the_length_of_what_is_added_does_not_depend_on_precision():
    model, params, _ = with_knowledge()
    rough = Model(model.shape, replace(model.execution, dtype="bfloat16"))
    rows, others = (encoded(each, params, make_triples([1, 4])) for each in (model, rough))
    assert others.dtype == np.float32
    cosines = (normalise(jnp.asarray(rows)) * normalise(jnp.asarray(others))).sum(-1)
    assert cosines.min() > 0.99


def test_bfloat16_ends_where_the_projection_begins():
    model, params, _ = with_knowledge()
    towers = Model(model.shape, replace(model.execution, dtype="bfloat16")).bind(params)
    triples = make_triples([1, 4])
    knowledge, table = towers.knowledge, towers.text.embedding[...]
    seen = {}
    projection = knowledge.projection

    class Spy(nnx.Module):
        def __call__(self, x):
            seen["trunk"] = x
            return projection(x)

    knowledge.projection = Spy()
    known = knowledge(triples, table)
    assert seen["trunk"].dtype == jnp.bfloat16
    exact = np.asarray(seen["trunk"], np.float64) @ np.asarray(projection.kernel[...], np.float64)
    np.testing.assert_allclose(known, exact + projection.bias[...], rtol=1e-5, atol=1e-6)


def test_operations_are_those_that_the_compiler_counts():
    transformer = spec.Transformer(width=1024, depth=3, heads=8, mlp_width=4096)
    knowledge = spec.KnowledgeEncoder(transformer, elements="wordpiece", vocabulary=PIECES)
    shape = replace(PLAIN, knowledge=knowledge)
    model = Model(shape)
    unrolled = replace(model.execution, unroll=transformer.depth)  # bodies of loops count once

    def encode(params, triples):
        return Model(shape, unrolled).bind(params).knowledge(triples, jnp.zeros((1, 1)))

    texts = 8
    triples = Triples(
        jax.ShapeDtypeStruct((texts, 6, 3, 5), jnp.int32), jax.ShapeDtypeStruct((texts, 6), bool)
    )
    lowered = jax.jit(encode).lower(model.abstract(), triples)
    counted = lowered.cost_analysis()["flops"]  # element by element work is counted, too
    assert texts * knowledge_flops(shape) == pytest.approx(counted, rel=0.02)
    assert knowledge_flops(PLAIN) == 0
    batch = {"text": Texts((make_tokens(4, 3),), triples)}
    more = step_work(shape, batch, {"text"}).flops - step_work(PLAIN, batch, {"text"}).flops
    assert more == 3 * 4 * 3 * knowledge_flops(shape)
