"""Every input once through its tower, whatever tree it stands in."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from kgclip_jax.batch import Features, Images, Texts, Triples
from kgclip_jax.models import dual_encoder, encode, spec
from kgclip_jax.models.presets import preset

SHAPE = replace(preset("tiny"), text=replace(preset("tiny").text, context_length=16))
MODEL = dual_encoder.Model(SHAPE)
PARAMS = MODEL.initialise(0)
RNG = np.random.default_rng(0)


def pictures(*leading):
    return Images(RNG.integers(0, 256, (*leading, 16, 16, 3), dtype=np.uint8))


def tokens(*leading, n=8, longest=None):
    ids = RNG.integers(1, 49406, (*leading, n)).astype(np.int32)
    ends = RNG.integers(2, longest or n, leading)
    ids[np.arange(n) == ends[..., None]] = 49407
    ids[np.arange(n) > ends[..., None]] = 0
    return ids


def run(batch, read=None, model=MODEL, params=PARAMS):
    return jax.jit(lambda params: encode.encode(model.bind(params), batch, read))(params)


def alone(node):
    return run({"node": node})["node"]


def same(mine, reference):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), mine, reference)


def test_inputs_of_one_shape_go_through_a_tower_together(monkeypatch):
    calls = []
    call = dual_encoder.TextTower.__call__
    monkeypatch.setattr(
        dual_encoder.TextTower,
        "__call__",
        lambda self, tokens: calls.append(tokens.shape) or call(self, tokens),
    )
    batch = {
        "pairs": (pictures(4), Texts((tokens(4),)), Texts((tokens(4, 3),))),
        "graph": {"entity": Texts((tokens(6),)), "label": np.arange(6)},
        "long": Texts((tokens(2, n=12),)),
    }
    encoded = run(batch)
    assert sorted(calls) == [(2, 12), (22, 8)]  # 4 + 4 * 3 + 6
    same(encoded["pairs"][1], alone(batch["pairs"][1]))
    same(encoded["pairs"][2], alone(batch["pairs"][2]))
    same(encoded["graph"]["entity"], alone(batch["graph"]["entity"]))
    assert encoded["pairs"][2].pooled.shape == (4, 3, SHAPE.embedding)
    np.testing.assert_array_equal(encoded["graph"]["label"], np.arange(6))


def test_slots_give_what_one_length_gives():
    ids = tokens(8, n=16, longest=8)
    slotted = run(Texts((ids[:4, :8], ids[4:, :12])))
    whole = alone(Texts((ids,)))
    order = [0, 4, 1, 5, 2, 6, 3, 7]  # joined group by group
    np.testing.assert_allclose(slotted.pooled, whole.pooled[jnp.array(order)], atol=2e-6)
    for row, place in enumerate(order):
        seen = slotted.visible[row]
        np.testing.assert_array_equal(seen, whole.visible[place][:12])
        np.testing.assert_allclose(
            slotted.tokens[row][seen], whole.tokens[place][:12][seen], atol=1e-5
        )


def test_embeddings_have_unit_length_and_tokens_the_width_of_the_tower():
    image = alone(pictures(3))
    np.testing.assert_allclose(np.linalg.norm(image.pooled, axis=1), 1, rtol=1e-5)
    length, width = SHAPE.vision.length, SHAPE.vision.transformer.width
    assert image.tokens.shape == (3, length, width)
    assert image.visible is None
    np.testing.assert_array_equal(image.pooled, image.plain)


def test_what_nobody_reads_goes_through_no_tower():
    batch = {"image": pictures(4), "text": Texts((tokens(4),)), "ids": np.arange(4)}
    assert list(encode.inputs_by_path(batch)) == ["image", "text"]
    encoded = run(batch, read={"text"})
    assert encoded["image"] is None
    assert isinstance(encoded["text"], Features)

    def flops(read):
        work = jax.jit(lambda p: encode.encode(MODEL.bind(p), batch, read))
        return work.lower(PARAMS).compile().cost_analysis()["flops"]

    assert flops({"text"}) < 0.8 * flops(None)


def test_a_knowledge_encoder_reads_the_triples_of_all_texts_at_once():
    blocks = spec.Transformer(SHAPE.text.transformer.width, 1, 2, 64)
    shape = replace(SHAPE, knowledge=spec.KnowledgeEncoder(blocks, triples=2, element_length=3))
    model = dual_encoder.Model(shape)
    params = model.initialise(0)
    mask = np.array([[True, False], [False, False]])
    triples = Triples(RNG.integers(1, 900, (2, 2, 3, 3)).astype(np.int32), mask)
    text = Texts((tokens(2),), triples)
    features = run(text, model=model, params=params)
    change = np.linalg.norm(features.pooled - features.plain, axis=1)
    np.testing.assert_allclose(change, [shape.knowledge.weight, 0], rtol=1e-5)


def test_a_knowledge_encoder_adds_nothing_to_texts_without_triples():
    blocks = spec.Transformer(SHAPE.text.transformer.width, 1, 2, 64)
    shape = replace(SHAPE, knowledge=spec.KnowledgeEncoder(blocks, triples=2, element_length=3))
    model = dual_encoder.Model(shape)
    params = model.initialise(0)
    triples = Triples(RNG.integers(1, 900, (2, 2, 3, 3)).astype(np.int32), np.ones((2, 2), bool))
    text, entity = Texts((tokens(2),), triples), Texts((tokens(2),))
    for batch in ((text, entity), (entity, text)):
        found = dict(zip(map(id, batch), run(batch, model=model, params=params), strict=True))
        said, alone = found[id(text)], found[id(entity)]
        np.testing.assert_array_equal(alone.pooled, alone.plain)
        change = np.linalg.norm(said.pooled - said.plain, axis=1)
        np.testing.assert_allclose(change, shape.knowledge.weight, rtol=1e-5)
    np.testing.assert_allclose(
        run(entity, model=model, params=params).pooled, alone.pooled, rtol=1e-6
    )
