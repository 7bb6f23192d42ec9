"""A linear map of a language model's embeddings that brings texts of one record together.

    y = W x / |W x|    symmetric InfoNCE of pairs of texts of one record, W trained, the model not

An untuned decoder tells captions badly apart. LLM2CLIP (Huang et al., arXiv 2411.04997) therefore
tunes the model itself with LoRA, by the contrast of captions of one picture, before it teaches;
here its embeddings are kept, and a map of them is tuned, which takes minutes on a processor.

OUTPUT/embeddings.json ...    see `kgclip_jax.data.embedded_texts`: all texts of the folder, mapped
OUTPUT/map.npy                W, transposed: rows of numbers of an embedding
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float16, Float32, Int32, Int64
from rich.console import Console

from kgclip_jax.data.embedded_texts import (
    CONTENTS,
    EmbeddedContents,
    EmbeddedTexts,
    complete,
    part_file,
    write_part,
)
from kgclip_jax.data.records import Records
from kgclip_jax.errors import ConfigError
from kgclip_jax.files import atomic_file, sha256, writing
from kgclip_jax.models.dual_encoder import normalise
from kgclip_jax.objectives.contrastive import softmax_contrastive
from kgclip_jax.preparation.parts import begin
from kgclip_jax.preparation.progress import RecordsProgress
from kgclip_jax.preparation.record_texts import HeldOut, draw_pairs, hold_out, read_record_texts
from kgclip_jax.preparation.text_embeddings import Paraphrases, in_words, told_apart, unit_rows
from kgclip_jax.ranges import PositiveFloat, PositiveInt, Range, Seed
from kgclip_jax.schema import parse, to_dict

MAP = "map.npy"
LOOKS = 10  # maps that are looked at on the way, the first one aside

_ASKED = 1000  # held-out records, at most, as `paraphrases` asks
_BLOCK = 4_096  # texts that are mapped together
_RESULT = "result"


@dataclass(frozen=True)
class TuningSettings:
    """Everything that a map depends on, the embeddings and the records aside.

    Attributes:
        width: numbers of a mapped embedding; None: as many as it has. The map begins at the
            identity, or with fewer numbers at the largest principal components about the origin,
            which keep most of the products of embeddings.
        steps: of Adam.
        rate: its learning rate, which falls to zero along a cosine.
        batch: records of a step.
        temperature: of InfoNCE; it is not learnt.
        held_out: share of the records that are not learnt from. One half of them chooses among the
            maps of LOOKS steps and the first one: that with most second captions found by the
            first, of equals the earliest. The other half measures it, and has chosen nothing.
        seed: of what is held out, and of pairs.
    """

    width: PositiveInt | None = None
    steps: PositiveInt = 1000
    rate: PositiveFloat = 3e-4
    batch: Annotated[int, Range(2)] = 512
    temperature: PositiveFloat = 0.05
    held_out: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.2
    seed: Seed = 0


@dataclass(frozen=True)
class TuningPlan:
    """What is made.

    Attributes:
        settings: of the map.
        source: of the records, as plain values.
        records: hash of their numbers, and of which texts each has.
        embeddings: fingerprint of the folder.
    """

    settings: TuningSettings
    source: dict
    records: str
    embeddings: str


@dataclass(frozen=True)
class TuningResult:
    """What came of it.

    Attributes:
        step: whose map is kept; 0: the one that it began at.
        learnt: records that were learnt from.
        choosing: records that the step was chosen by.
        before: paraphrases of other held-out records, by the embeddings themselves.
        after: the same, by the mapped ones as they are stored.
    """

    step: int
    learnt: int
    choosing: int
    before: Paraphrases
    after: Paraphrases


class Kept(NamedTuple):
    """A map, and the step that it is of."""

    weights: Float32[np.ndarray, "d width"]
    step: int


def pair_loss(
    weights: Float[Array, "d width"],
    pairs: Float[Array, "b 2 d"],
    groups: Int32[Array, " b"],
    temperature: float,
) -> Float[Array, ""]:
    """Symmetric InfoNCE of the mapped texts of a batch: each finds the other one of its pair.

    Args:
        weights: the map.
        pairs: embeddings of two texts of each record.
        groups: records of equal numbers are no negatives of each other.
        temperature: the cosines are divided by it.
    """
    mapped = normalise(jnp.matmul(pairs, weights, precision=jax.lax.Precision.HIGHEST))
    ids = jnp.stack([groups, groups], axis=1)
    scale = jnp.asarray(1 / temperature, jnp.float32)
    return softmax_contrastive(mapped[:, 0], mapped[:, 1], scale, ids=ids).loss


def first_map(
    embedded: EmbeddedTexts, rows: Int64[np.ndarray, " n"], width: int
) -> Float32[np.ndarray, "d width"]:
    """Return the map that tuning begins at, see `TuningSettings.width`.

    Args:
        embedded: the embeddings; they are divided by their lengths.
        rows: of those that principal components are of.
        width: numbers of a mapped one, at most as many as an embedding has.
    """
    size = embedded.contents.width
    if width == size:
        return np.eye(size, dtype=np.float32)
    products = np.zeros((size, size))
    for start in range(0, len(rows), _BLOCK):
        block = unit_rows(embedded.vectors(rows[start : start + _BLOCK]))
        products += (block.T @ block).astype(np.float64)
    _, directions = np.linalg.eigh(products)  # the largest ones are last
    return directions[:, : -width - 1 : -1].astype(np.float32)


def tune(
    embedded: EmbeddedTexts, parts: HeldOut, settings: TuningSettings, console: Console
) -> Kept:
    """Fit a map, and keep the best that was looked at; see `TuningSettings`.

    Raises:
        ConfigError: a number of the map is not finite any more.
        DataError: an embedding is not finite.
    """
    learnt, choosing = parts.learnt, parts.choosing.first_two(_ASKED)
    width, temperature = settings.width or embedded.contents.width, settings.temperature
    looks = set(np.linspace(0, settings.steps, LOOKS + 1).round().astype(int).tolist())
    optimizer = optax.adam(optax.cosine_decay_schedule(settings.rate, settings.steps))
    weights = jnp.asarray(first_map(embedded, np.unique(learnt.rows), width))
    state = optimizer.init(weights)
    kept, most = Kept(np.asarray(weights), 0), -1.0
    with RecordsProgress(console, 0, settings.steps, "steps") as progress:
        for step in range(settings.steps + 1):
            if step in looks:
                looked = _finite(np.asarray(weights), step)
                recall = _retrieval(embedded, choosing, looked).recall
                if recall > most:
                    kept, most = Kept(looked, step), recall
            if step < settings.steps:
                rows, groups = draw_pairs(learnt, step, settings.batch, settings.seed)
                pairs = _pairs(embedded, rows)
                weights, state = _step(weights, state, pairs, groups, optimizer, temperature)
                progress.advance(1)
    return kept


def store_tuned(
    embedded: EmbeddedTexts,
    records: Records,
    source: dict[str, Any],
    output: Path,
    settings: TuningSettings,
    *,
    bad_share: float,
    console: Console,
) -> EmbeddedTexts:
    """Tune a map of embedded texts, and write all of them mapped: of unit length, in float16.

    Args:
        embedded: the texts.
        records: that tell which texts mean the same; all of theirs are embedded.
        source: of the records, as plain values.
        output: the folder.
        settings: of the map.
        bad_share: largest share of records that may not be readable.
        console: for progress.

    Raises:
        ConfigError: a setting does not fit the data, or the folder holds something else.
        DataError: a text is not embedded, an embedding is not finite, or there are too few records.
        UserError: the disk refuses.
    """
    texts = read_record_texts(records, embedded, bad_share)
    parts = hold_out(texts, settings.held_out, settings.seed, records.name)
    _refuse_misfits(settings, embedded.contents.width, len(parts.learnt))
    arrays = (texts.records, texts.ends, texts.rows)
    told = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    plan = TuningPlan(settings, source, told, embedded.contents.fingerprint)
    begin(output, plan)
    if (output / CONTENTS).exists():
        return EmbeddedTexts(output)
    kept = tune(embedded, parts, settings, console)
    result = _measured(embedded, parts, kept)
    path = output / MAP
    with atomic_file(path) as temporary, writing(path), temporary.open("wb") as file:
        np.save(file, kept.weights)
    _write_mapped(embedded, kept.weights, output, to_dict(plan) | {_RESULT: to_dict(result)})
    return EmbeddedTexts(output)


def describe_tuned(found: EmbeddedTexts) -> str:
    """Say what a tuned folder holds, and what tuning has done."""
    contents = found.contents
    result = parse(TuningResult, contents.settings[_RESULT], str(found.folder / CONTENTS))
    steps = contents.settings["settings"]["steps"]
    return "\n".join(
        [
            f"{found.folder}: {contents.texts:,} texts, {contents.width} numbers each, "
            f"{contents.dtype}; learnt from {result.learnt:,} records; the map of step "
            f"{result.step:,} of {steps:,}, chosen by {result.choosing:,} others",
            "captions of one picture, of held-out ones that have chosen nothing:",
            f"before: {in_words(result.before)}",
            f"after:  {in_words(result.after)}",
        ]
    )


def _refuse_misfits(settings: TuningSettings, width: int, learnt: int) -> None:
    if settings.width is not None and settings.width > width:
        raise ConfigError(
            f"--width={settings.width}: the embeddings have {width} numbers, and a linear map adds "
            "none that says more"
        )
    if settings.batch > learnt:
        raise ConfigError(
            f"--batch={settings.batch}: there are {learnt:,} records to learn from, and a batch "
            "has at most all of them"
        )


def _measured(embedded: EmbeddedTexts, parts: HeldOut, kept: Kept) -> TuningResult:
    asked = parts.measured.first_two(_ASKED)
    return TuningResult(
        step=kept.step,
        learnt=len(parts.learnt),
        choosing=len(parts.choosing),
        before=told_apart(*(embedded.vectors(rows) for rows in asked.T)),
        after=_retrieval(embedded, asked, kept.weights),
    )


@partial(jax.jit, static_argnames=("optimizer", "temperature"))
def _step(
    weights: Float[Array, "d width"],
    state: Any,
    pairs: Float[Array, "b 2 d"],
    groups: Int32[Array, " b"],
    optimizer: optax.GradientTransformation,
    temperature: float,
) -> tuple[Float[Array, "d width"], Any]:
    gradient = jax.grad(pair_loss)(weights, pairs, groups, temperature)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(weights, updates), state


def _finite(weights: Float32[np.ndarray, "d width"], step: int) -> Float32[np.ndarray, "d width"]:
    if not np.isfinite(weights).all():
        raise ConfigError(f"--rate: the map is not finite any more after {step:,} steps; lower it")
    return weights


def _pairs(embedded: EmbeddedTexts, rows: Int64[np.ndarray, "b 2"]) -> Float32[np.ndarray, "b 2 d"]:
    return unit_rows(embedded.vectors(rows.reshape(-1))).reshape(*rows.shape, -1)


def _mapped(
    vectors: Float[np.ndarray, "n d"], weights: Float32[np.ndarray, "d width"]
) -> Float16[np.ndarray, "n width"]:
    return unit_rows(unit_rows(vectors) @ weights).astype(np.float16)


def _retrieval(
    embedded: EmbeddedTexts,
    pairs: Int64[np.ndarray, "n 2"],
    weights: Float32[np.ndarray, "d width"],
) -> Paraphrases:
    return told_apart(*(_mapped(embedded.vectors(rows), weights) for rows in pairs.T))


def _write_mapped(
    embedded: EmbeddedTexts,
    weights: Float32[np.ndarray, "d width"],
    output: Path,
    settings: dict[str, Any],
) -> None:
    """Write files that are those of `embedded` row by row, and what they hold."""
    rows = embedded.contents.rows
    ends, hashes = np.cumsum(rows).tolist(), ""
    for number, (count, end) in enumerate(zip(rows, ends, strict=True)):
        there = np.arange(end - count, end)
        vectors = np.empty((count, weights.shape[1]), np.float16)
        for start in range(0, count, _BLOCK):
            some = slice(start, start + _BLOCK)
            vectors[some] = _mapped(embedded.vectors(there[some]), weights)
        path = output / part_file(number, len(rows))
        write_part(path, embedded.texts(there), vectors)
        hashes += sha256(path)
    contents = EmbeddedContents(
        settings=settings | {"embedded": embedded.contents.settings},
        rows=rows,
        texts=sum(rows),  # until they are indexed
        width=weights.shape[1],
        dtype="float16",
        fingerprint=hashlib.sha256(hashes.encode()).hexdigest(),
        left_out=embedded.contents.left_out,
    )
    complete(output, contents)
