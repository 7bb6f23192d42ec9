"""Link prediction through the encoder, against scores that are computed triple by triple."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from kgclip_jax.batch import Images
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.link_sets import HEAD, TAIL, LinksConfig
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.tasks import evaluate
from kgclip_jax.inference import ClipEncoder
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.entity_table import EntityTableHead
from kgclip_jax.models.fusion import FusionHead
from kgclip_jax.models.heads import init_head
from kgclip_jax.models.presets import preset
from kgclip_jax.models.rgcn import RgcnHead
from tests.knowledge.graph.made_up_graphs import make_graph

TINY = preset("tiny")
ASKED = {"text": 27, "image": 2, "mixed": 27, "image_text": 9}  # triples, by view
NAMES = [f"thing {number:02}" for number in range(12)]
SHAPE = spec.Transformer(width=16, depth=1, heads=2, mlp_width=32)
HEADS = {
    "fusion": FusionHead(transformer=SHAPE, relations=2),
    "table": EntityTableHead(scorer="complex", entities=12, relations=2, width=8, std=1.0),
    "gnn": RgcnHead(relations=2),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A graph of twelve things, the first four of which have a picture; the last is unseen."""
    folder = tmp_path_factory.mktemp("links")
    rng = np.random.default_rng(0)
    rows = {tuple(row) for row in rng.integers([11, 2, 11], size=(60, 3)).tolist()}
    triples = [(NAMES[h], f"relation {r}", NAMES[t]) for h, r, t in sorted(rows)]
    for number in range(4):
        pixels = rng.integers(256, size=(40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    make_graph(
        folder / "graph",
        {"train": triples[::2], "test": [*triples[1::2], (NAMES[0], "relation 0", NAMES[11])]},
        images=[[f"{number}.png"] if number < 4 else [] for number in range(12)],
    )
    return folder


@pytest.fixture(scope="module")
def encoder():
    params = Model(TINY).initialise(0)
    heads = {name: init_head(head, name, TINY, 0) for name, head in HEADS.items()}
    reading = preprocessing_for(TINY, Tokenizers())
    return ClipEncoder(
        Model(TINY), params, reading, step=0, batch_size=8, heads=HEADS, head_params=heads
    )


def opened(folder, **settings):
    transform = EvaluationTransform(TINY.vision.image_size)
    return LinksConfig(graph="graph", **settings).open("links", folder, transform)


def values(rows):
    return {row.metric: row.value for row in rows}


def reciprocal_ranks(data, scores, *, of_head):
    """The filtered reciprocal rank of each triple, by loops; scores[h, r, t]."""
    true = {
        triple
        for split in data.graph.splits.values()
        for triple in zip(*(x.tolist() for x in split.triples(np.arange(len(split)))), strict=True)
    }
    candidates = data.candidates(HEAD if of_head else TAIL).tolist()
    found = []
    for h, r, t in zip(*(x.tolist() for x in data.triples), strict=True):
        others = [(e, r, t) if of_head else (h, r, e) for e in candidates]
        others = [other for other in others if other not in true]
        found.append(1 / (1 + sum(scores[other] > scores[h, r, t] for other in others)))
    return found


def check(encoder, data, scores):
    rows = values(evaluate(encoder, [data]))
    heads = reciprocal_ranks(data, scores[True], of_head=True)
    tails = reciprocal_ranks(data, scores[False], of_head=False)
    assert rows["MRR, heads"] == pytest.approx(np.mean(heads))
    assert rows["MRR, tails"] == pytest.approx(np.mean(tails))
    assert rows["MRR"] == pytest.approx(np.mean([*heads, *tails]))
    assert rows["Hits@1"] == pytest.approx(np.mean(np.array([*heads, *tails]) == 1))


def test_a_table_ranks_by_number(encoder, folder):
    def scores(heads, rows, constants):
        table = heads["table"]
        query = table.query(rows[:, 0], rows[:, 1], jnp.zeros(len(rows), bool))
        return table.scores_of_all(query, table.entities[...])

    data = opened(folder, head="table", view="number")
    given = np.array([(h, r) for h in range(12) for r in range(2)], np.int32)
    found = encoder.read(given, scores).reshape(12, 2, 12)
    check(encoder, data, {True: found, False: found})


@pytest.mark.parametrize("view", ["text", "image", "mixed", "image_text"])
def test_a_fusion_ranks_what_it_reads(encoder, folder, view):
    """P(h, r, -) and P(-, -, t), each element of each triple in a call of its own."""
    data = opened(folder, view=view)
    assert len(data.triples.head) == ASKED[view]

    def see(entity, end):
        if data.by_image(end, np.array([entity]))[0]:
            return Images(data.pictures[list(data.pictured).index(entity)][None])
        return encoder.texts([NAMES[entity]], data.entity_length)

    def read(asks_head):
        def both(heads, rows, constants):
            yes, no = jnp.ones((1,), bool), jnp.zeros((1,), bool)
            end = (no, yes, yes) if asks_head else (yes, yes, no)
            alone = (yes, no, no) if asks_head else (no, no, yes)
            query, answer = heads["fusion"](
                rows["view"],
                rows["relation"],
                rows["view"],
                [jnp.stack(end, axis=1), jnp.stack(alone, axis=1)],
            )
            return query.pooled, answer.pooled

        return both

    scores = {}
    for asks_head in (True, False):
        function = read(asks_head)
        queries, answers = np.zeros((12, 2, TINY.embedding)), np.zeros((12, TINY.embedding))
        given, wanted = (TAIL, HEAD) if asks_head else (HEAD, TAIL)
        for relation in range(2):
            phrase = encoder.texts([f"relation {relation}"], data.relation_length)
            for entity in data.candidates(given):
                rows = {"view": see(entity, given), "relation": phrase}
                queries[entity, relation] = encoder.read(rows, function)[0][0]
            for entity in data.candidates(wanted):
                rows = {"view": see(entity, wanted), "relation": phrase}
                answers[entity] = encoder.read(rows, function)[1][0]
        found = queries @ answers.T  # given, relation, answer
        scores[asks_head] = np.moveaxis(found, 0, 2).swapaxes(0, 1) if asks_head else found
    check(encoder, data, scores)


def test_relations_are_told_where_the_head_tells_them(encoder, folder):
    rows = values(evaluate(encoder, [opened(folder)]))
    assert {"relation MRR", "relation Hits@1", "relation Hits@1, mean of relations"} <= {*rows}
    assert 0.5 <= rows["relation MRR"] <= 1
    rows = values(evaluate(encoder, [opened(folder, head="table", view="number")]))
    assert not any(metric.startswith("relation") for metric in rows)


def test_rows_have_chances_and_count_what_training_never_saw(encoder, folder):
    rows = {row.metric: row for row in evaluate(encoder, [opened(folder)])}
    assert rows["MRR"].n == 54
    assert rows["MRR, heads"].n == rows["MRR, tails"].n == 27
    assert rows["MRR, unseen entities"].n == 2
    assert 1 / 12 < rows["Hits@1"].chance < 1 / 3
    assert rows["Hits@1"].chance < rows["MRR"].chance < rows["Hits@10"].chance
    assert rows["relation MRR"].chance >= 0.75


def test_random_scores_come_out_at_chance(encoder, folder):
    """Averaged over many tables; the standard error is about 0.004."""
    data = opened(folder, head="table", view="number")
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        params = jax.tree.map(
            lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32),
            encoder._head_params["table"],
        )
        other = ClipEncoder(
            encoder.model,
            encoder.params,
            None,
            step=0,
            heads={"table": HEADS["table"]},
            head_params={"table": params},
        )
        found.append({row.metric: row for row in evaluate(other, [data])})
    for metric in ("MRR", "Hits@1", "Hits@3"):
        mean = np.mean([rows[metric].value for rows in found])
        assert mean == pytest.approx(found[0][metric].chance, abs=0.03), metric


def test_only_so_many_triples_are_asked_about(folder):
    few, more = opened(folder, triples=5), opened(folder, triples=9)
    assert (len(few.triples.head), len(more.triples.head)) == (5, 9)
    pairs = [{*zip(*(x.tolist() for x in data.triples), strict=True)} for data in (few, more)]
    assert pairs[0] < pairs[1]


def test_what_does_not_fit_is_refused(encoder, folder):
    with pytest.raises(ConfigError, match=r"heads.fusoin is not there; did you mean fusion\?"):
        evaluate(encoder, [opened(folder, head="fusoin")])
    with pytest.raises(ConfigError, match=r"heads.gnn knows nothing of links"):
        evaluate(encoder, [opened(folder, head="gnn")])
    with pytest.raises(ConfigError, match="not by their number"):
        evaluate(encoder, [opened(folder, view="number")])
    with pytest.raises(DataError, match="no triple of the split 'valid'"):
        opened(folder, split="valid")


def test_an_image_that_is_gone_is_named(encoder, folder, tmp_path):
    data = opened(folder, view="image", pictures=str(tmp_path))
    with pytest.raises(DataError, match=r"'links': .*0\.png: No such file"):
        evaluate(encoder, [data])
