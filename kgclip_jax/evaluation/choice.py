"""Suites of choices: which caption fits a picture, which picture a caption?

Every question is a set of decisions between right and wrong pairs (`Question`). A
tie is wrong: benchmarks that list the false caption first and take the arg-max do the same.

Beneath each question about pictures stands its blind row, the same for all suites: the decisions of
an item (a cluster) are about the pictures of another item, drawn once by a fixed seed, and so the
picture that would tell right from wrong is not shown. (Where a text chooses its picture, the text
is another item's.) If the right picture tells a scorer no more than any other one, the two rows are
draws from one distribution: what the blind row has over chance, texts alone give away, and what the
seeing row has over the blind one is sight. The false captions of many benchmarks read oddly, and
training on captions of that style finds it out.

Where each item has both pictures and both captions, texts alone give nothing, and the blind row is
at chance but for sampling. It is measured, not true by construction: first pictures are exchanged
for first ones and second for second, so a set whose first pictures and first captions have
something in common is found out.
"""

import logging
from collections import Counter
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from kgclip_jax.data.evaluation_sets import ChoiceSet, Question
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.encoder import Encoder, encode_pictures, encode_texts
from kgclip_jax.evaluation.ranking import beats
from kgclip_jax.evaluation.result import Result, measured
from kgclip_jax.random import generator

_logger = logging.getLogger(__name__)

TASK = "composition"
CONTROL = "the pictures of another item"  # of blind rows; another control, another name

_PAIRS_IN_MEMORY = 2**14  # whose embeddings are gathered at once


def evaluate_choices(encoder: Encoder, data: ChoiceSet) -> list[Result]:
    """Answer every question of a suite, with a blind row beneath each that is about pictures.

    A question about one item has no blind row.

    Decisions about a picture that cannot be read are left out. Intervals resample clusters.

    Raises:
        DataError: the set is inconsistent, or too many of its pictures cannot be read.
    """
    check_choice_set(data)
    texts = encode_texts(encoder, data.texts)
    pictures, readable = encode_pictures(encoder, data)
    rows: list[Result] = []
    for question in data.questions:
        anchors, usable = pictures, readable
        if question.anchors == "texts":
            anchors, usable = texts, np.ones(len(texts), dtype=bool)
        asked = np.all(usable[question.right[..., 0]] & usable[question.wrong[..., 0]], axis=1)
        if not asked.any():
            _logger.warning(
                "%s, %s: left out, none of its pictures can be read", data.name, question.metric
            )
        else:
            rows.extend(_rows(data.name, _kept(question, asked), anchors, texts))
    return rows


def _rows(
    name: str,
    question: Question,
    anchors: Float[np.ndarray, "anchors d"],
    texts: Float[np.ndarray, "texts d"],
) -> Iterator[Result]:
    yield _row(name, question, decide(question, anchors, texts))
    if (blind := blinded(question)) is not None:
        yield _row(name, blind, decide(blind, anchors, texts), CONTROL)


def blinded(question: Question) -> Question | None:
    """Ask each item about the pictures of another (or for its text, if the picture is chosen).

    Items are put into one random cycle, so none meets itself; see `taken_from`. None for questions
    without pictures, and where there is but one item.
    """
    items = len(np.unique(question.clusters))
    if question.anchors == "texts" or items < 2:
        return None
    given = taken_from(another_of(items), question.clusters)
    side = int(np.array_equal(question.right[..., 1], question.wrong[..., 1]))
    right, wrong = question.right.copy(), question.wrong.copy()
    right[..., side] = question.right[given][..., side]
    wrong[..., side] = question.wrong[given][..., side]
    return question._replace(right=right, wrong=wrong)


def taken_from(
    other: Int[np.ndarray, " items"], clusters: Int[np.ndarray, " decisions"]
) -> Int[np.ndarray, " decisions"]:
    """Return the decision that takes the place of each when items take those of others.

    That of the n-th is the n-th of the other item, counted from the first again where it has fewer.

    Args:
        other: whose decisions each item takes; items are the clusters in ascending order.
        clusters: the item of each decision.
    """
    order = np.argsort(clusters, kind="stable")
    starts, sizes = np.unique(clusters[order], return_index=True, return_counts=True)[1:]
    item = np.repeat(np.arange(len(starts)), sizes)
    place = (np.arange(len(order)) - starts[item]) % sizes[other[item]]
    given = np.empty_like(order)
    given[order] = order[starts[other[item]] + place]
    return given


def another_of(count: int) -> Int[np.ndarray, " count"]:
    """Return another item for each of `count`, two or more: the one before it in a random cycle."""
    cycle = generator(0, "blind").permutation(count)
    other = np.empty_like(cycle)
    other[cycle] = np.roll(cycle, 1)
    return other


def _row(
    name: str, question: Question, correct: Bool[np.ndarray, " decisions"], control: str = ""
) -> Result:
    return measured(
        TASK,
        name,
        question.metric,
        correct,
        question.clusters,
        chance=question.chance,
        groups=question.groups,
        control=control,
    )


def decide(
    question: Question,
    anchors: Float[np.ndarray, "anchors d"],
    texts: Float[np.ndarray, "texts d"],
) -> Bool[np.ndarray, " decisions"]:
    """Tell for each decision whether all its right pairs beat their wrong ones.

    Texts are compared with texts by cosine: those with scene graphs are not of unit length.
    """
    if question.anchors == "texts":
        anchors, texts = _unit(anchors), _unit(texts)
    right = _pair_scores(question.right, anchors, texts)
    wrong = _pair_scores(question.wrong, anchors, texts)
    return np.all(beats(right, wrong), axis=1)


def _unit(rows: Float[np.ndarray, "rows d"]) -> Float[np.ndarray, "rows d"]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _pair_scores(
    pairs: Int[np.ndarray, "decisions comparisons 2"],
    anchors: Float[np.ndarray, "anchors d"],
    texts: Float[np.ndarray, "texts d"],
) -> Float[np.ndarray, "decisions comparisons"]:
    flat = pairs.reshape(-1, 2)
    scores = np.empty(len(flat), dtype=np.float64)
    for start in range(0, len(flat), _PAIRS_IN_MEMORY):
        block = flat[start : start + _PAIRS_IN_MEMORY]
        scores[start : start + len(block)] = np.einsum(
            "pd,pd->p", anchors[block[:, 0]], texts[block[:, 1]], dtype=np.float64
        )
    return scores.reshape(pairs.shape[:2])


def _kept(question: Question, asked: Bool[np.ndarray, " decisions"]) -> Question:
    return question._replace(
        right=question.right[asked],
        wrong=question.wrong[asked],
        clusters=question.clusters[asked],
        groups=None if question.groups is None else question.groups[asked],
    )


def check_choice_set(data: ChoiceSet) -> None:
    """Refuse a set that cannot be evaluated.

    Raises:
        DataError: no pictures or questions, two questions of one name, or a question without
            decisions.
    """
    where = f"choice set {data.name!r}"
    if not len(data.pictures) or not data.questions:
        raise DataError(
            f"{where} has {len(data.pictures)} pictures and {len(data.questions)} questions; "
            "it needs at least one of each"
        )
    for metric, count in Counter(question.metric for question in data.questions).items():
        if count > 1:
            raise DataError(f"{where} has {count} questions called {metric!r}")
    for question in data.questions:
        if not len(question.right):
            raise DataError(f"{where}: question {question.metric!r} has no decisions")
