"""Link prediction: the missing end of a triple among all entities, or its relation among all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from kgclip_jax.batch import Images
from kgclip_jax.data.link_sets import HEAD, TAIL, End, LinkSet
from kgclip_jax.errors import BadRecord, ConfigError, DataError
from kgclip_jax.evaluation.encoder import HeadReader
from kgclip_jax.evaluation.result import Result, measured
from kgclip_jax.knowledge.graph.knowledge_graph import TripleIds
from kgclip_jax.knowledge.graph.link_ranks import (
    Ranks,
    filtered_ranks,
    filtered_relation_ranks,
    unseen,
)
from kgclip_jax.models.link_model import LinkModel, LinkRows, RelationModel
from kgclip_jax.schema import suggestion

TASK = "link prediction"
HITS = (1, 3, 10)
_ROWS = 256


def evaluate_links(encoder: HeadReader, data: LinkSet) -> list[Result]:
    """Rank the true head and tail of each triple, and its relation where the head tells relations.

    "MRR" is the mean of reciprocal ranks, "Hits@k" the share of ranks up to k, over heads and tails
    together; "MRR, heads" and so on are of each. What makes another true triple of any split is no
    candidate (Bordes et al., NeurIPS 2013), and equal scores have their mean rank (Ruffinelli et
    al., ICLR 2020). Triples of entities that no training triple has count, and have rows of their
    own. Intervals resample triples.

    Raises:
        ConfigError: the encoder has no such head, or one that knows nothing of links.
        DataError: a picture cannot be read.
    """
    if data.head not in encoder.heads:
        known = suggestion(data.head, encoder.heads) if encoder.heads else ""
        raise ConfigError(f"evaluation set {data.name!r}: heads.{data.head} is not there{known}")
    heads, tails = (_ends(encoder, data, end) for end in (HEAD, TAIL))
    triples = np.arange(len(data.triples.head))
    both = Ranks(*map(np.concatenate, zip(heads, tails, strict=True)))
    owners = np.concatenate([triples, triples])
    rows = [
        *_rows(data.name, both, owners),
        *_rows(data.name, heads, triples, note=", heads"),
        *_rows(data.name, tails, triples, note=", tails"),
    ]
    new = unseen(data.graph, data.triples)[owners]
    if new.any():
        some = Ranks(both.ranks[new], both.candidates[new])
        rows += _rows(data.name, some, owners[new], note=", unseen entities")
    return [*rows, *_relation_rows(encoder, data)]


def _ends(encoder: HeadReader, data: LinkSet, end: End) -> Ranks:
    """Rank the heads, or the tails, of all triples."""
    candidates = data.candidates(end)
    nothing = np.zeros(len(candidates), np.int32)
    asked = end == HEAD
    given: End = TAIL if asked else HEAD
    answers = _vectors(encoder, data, end, candidates, nothing, asks_head=asked, answers=True)

    def score(triples: TripleIds, of_head: bool) -> Float[np.ndarray, "n entities"]:
        known = triples.tail if of_head else triples.head
        queries = _vectors(encoder, data, given, known, triples.relation, asks_head=of_head)
        scores = np.full((len(known), len(data.graph)), -np.inf, np.float32)
        scores[:, candidates] = encoder.read(queries, _Scores(data.head), answers)
        return scores

    return filtered_ranks(data.graph, data.triples, score, of_head=asked)


@dataclass(frozen=True)
class _Vectors:
    """What a head makes of one end of triples, as a query or as an answer."""

    head: str
    answers: bool

    def __call__(self, heads: Mapping[str, Any], rows: LinkRows, constants: None) -> Array:
        model = heads[self.head]
        if not isinstance(model, LinkModel):
            raise ConfigError(f"heads.{self.head} knows nothing of links between entities")
        return model.entity_vectors(rows) if self.answers else model.query_vectors(rows)


@dataclass(frozen=True)
class _Scores:
    """How well every candidate answers each query."""

    head: str

    def __call__(self, heads: Mapping[str, Any], queries: Array, candidates: Array) -> Array:
        scores: Array = heads[self.head].scores_of_all(queries, candidates)
        return scores


def _vectors(
    encoder: HeadReader,
    data: LinkSet,
    end: End,
    entities: Int[np.ndarray, " n"],
    relations: Int[np.ndarray, " n"],
    *,
    asks_head: bool,
    answers: bool = False,
) -> Float[np.ndarray, "n d"]:
    """Read entities at an end of triples, a bounded number at a time: as answers, or as queries."""
    phrases = np.array(data.graph.contents.phrases, object)
    function = _Vectors(data.head, answers)
    found, places = [], []
    for some, view in _views(encoder, data, end, entities):
        phrase = None
        if view is not None and not answers:
            phrase = encoder.texts(phrases[relations[some]].tolist(), data.relation_length)
        asks = np.full(len(some), asks_head)
        rows = LinkRows(entities[some], view, relations[some], phrase, asks)
        found.append(encoder.read(rows, function))
        places.append(some)
    joined = np.concatenate(found)
    joined[np.concatenate(places)] = joined.copy()
    return joined


def _views(
    encoder: HeadReader, data: LinkSet, end: End, entities: Int[np.ndarray, " n"]
) -> Iterator[tuple[Int[np.ndarray, " some"], Any]]:
    """Yield the places of some entities that are seen alike, and the inputs of their towers."""
    by_image = data.by_image(end, entities)
    for as_image in (True, False):
        places = np.flatnonzero(by_image == as_image)
        for start in range(0, len(places), _ROWS):
            some = places[start : start + _ROWS]
            if data.views[end] == "number":
                yield some, None
            elif as_image:
                yield some, _images(data, entities[some])
            else:
                rows = np.searchsorted(data.named, entities[some]).tolist()
                labels = [data.labels[row] for row in rows]
                yield some, encoder.texts(labels, data.entity_length)


def _images(data: LinkSet, entities: Int[np.ndarray, " n"]) -> Images:
    rows = np.searchsorted(data.pictured, entities).tolist()
    try:
        return Images(np.stack([data.pictures[row] for row in rows]))
    except BadRecord as error:
        raise DataError(f"evaluation set {data.name!r}: {error}") from error


def _rows(
    name: str,
    ranked: Ranks,
    triples: Int[np.ndarray, " n"],
    *,
    of: str = "",
    note: str = "",
) -> Iterator[Result]:
    """Return the rows of some ranks, with what a random order would have."""
    ranks, candidates = ranked
    harmonic = np.cumsum(1 / np.arange(1, candidates.max() + 1))
    chance = float(np.mean(harmonic[candidates - 1] / candidates))
    yield measured(TASK, name, f"{of}MRR{note}", 1 / ranks, triples, chance=chance)
    for most in HITS:
        chance = float(np.mean(np.minimum(most, candidates) / candidates))
        if chance < 1:
            yield measured(
                TASK, name, f"{of}Hits@{most}{note}", ranks <= most, triples, chance=chance
            )


class _Pairs(NamedTuple):
    """Both ends of triples, as the towers take them."""

    head: Any
    tail: Any


@dataclass(frozen=True)
class _Relations:
    """The logits of all relations; None of a head that does not tell relations."""

    head: str

    def __call__(self, heads: Mapping[str, Any], rows: _Pairs, constants: None) -> Array | None:
        model = heads[self.head]
        return model.relation_logits(*rows) if isinstance(model, RelationModel) else None


def _relation_rows(encoder: HeadReader, data: LinkSet) -> Iterator[Result]:
    """Rank the relation of each triple; also with the mean over relations, as they are uneven."""
    if "number" in data.views:
        return
    head, relation, tail = data.triples
    function = _Relations(data.head)
    count = len(data.graph.contents.relations)
    scores = np.empty((len(head), count), np.float32)
    for some, view in _views(encoder, data, HEAD, head):
        for others, other in _views(encoder, data, TAIL, tail[some]):
            part = jax.tree.map(lambda array, others=others: array[others], view)
            found = encoder.read(_Pairs(part, other), function)
            if found is None:
                return
            scores[some[others]] = found
    ranked = filtered_relation_ranks(data.graph, data.triples, scores)
    triples = np.arange(len(head))
    yield from _rows(data.name, ranked, triples, of="relation ")
    metric, chance = "relation Hits@1, mean of relations", float(np.mean(1 / ranked.candidates))
    yield measured(
        TASK, data.name, metric, ranked.ranks <= 1, triples, chance=chance, groups=relation
    )
