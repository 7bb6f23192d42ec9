"""What a language model makes of all captions of a data set: a folder for `EmbeddedTexts`.

OUTPUT/embeddings.json ...    see `kgclip_jax.data.embedded_texts`
OUTPUT/reports/               see `kgclip_jax.preparation.parts`
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from rich.console import Console

from kgclip_jax.data.embedded_texts import (
    CONTENTS,
    EmbeddedContents,
    EmbeddedTexts,
    Stored,
    complete,
    part_file,
    write_part,
)
from kgclip_jax.data.records import Record, Records
from kgclip_jax.data.skips import UNREADABLE_RECORD
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.files import sha256
from kgclip_jax.preparation.local import worker_number
from kgclip_jax.preparation.parts import (
    Engine,
    LeftOut,
    PartWriter,
    Plan,
    Report,
    make_missing,
    make_plan,
)
from kgclip_jax.preparation.text_teachers import TeacherSettings, TextTeacher, devices
from kgclip_jax.schema import to_dict

_GROUP = 256  # records between which work can be stopped


@dataclass(frozen=True)
class EmbeddingPlan(Plan):
    """Everything that the embeddings depend on.

    Attributes:
        teacher: the language model, and how it is read.
        dtype: in which embeddings are stored.
    """

    teacher: TeacherSettings
    dtype: Stored

    def file(self, number: int) -> str:
        """Return the name of a file of texts."""
        return part_file(number, self.shards)


@dataclass(frozen=True)
class EmbeddingReport(Report):
    """What became of the records of a file: how many texts it has, how wide, and its hash."""

    texts: int
    width: int
    sha256: str


class EmbeddingWriter(PartWriter[EmbeddingPlan, EmbeddingReport]):
    """Writes any of the files of embeddings. It pickles without a model."""

    report_type = EmbeddingReport
    unit = "records"
    reason = UNREADABLE_RECORD

    def make(self, number: int, path: Path, after_record: Callable[[], None]) -> EmbeddingReport:
        """Write a file, whole or not at all."""
        teacher = _teacher(self.plan.teacher)
        left_out: list[LeftOut] = []
        texts: dict[str, None] = {}  # different ones, in the order of records
        vectors = [np.empty((0, teacher.width), self.plan.dtype)]
        rows = self.plan.range(number)
        for start in range(rows.start, rows.stop, _GROUP):
            group = range(start, min(start + _GROUP, rows.stop))
            found = self._records(group, left_out)
            new = dict.fromkeys(chain.from_iterable(record.captions for record in found))
            new = {text: None for text in new if text not in texts}
            if new:
                vectors.append(_stored(teacher.embed(list(new)), self.plan.dtype))
            texts |= new
            for _ in group:
                after_record()
        write_part(path, list(texts), np.concatenate(vectors))
        size = path.stat().st_size
        return EmbeddingReport(size, tuple(left_out), len(texts), teacher.width, sha256(path))

    def _records(self, indices: range, left_out: list[LeftOut]) -> list[Record]:
        found = []
        for index in indices:
            try:
                found.append(self.records.record(index))
            except BadRecord as error:
                left_out.append(LeftOut(f"record {index}", str(error)))
        return found


@dataclass(frozen=True)
class Paraphrases:
    """How well embeddings tell captions of one record from those of others.

    Attributes:
        n: records with two different captions, and candidates for each.
        recall: of the first captions, the share whose nearest second caption, by cosine, is that of
            the same record.
        same: mean cosine of two captions of one record.
        others: mean cosine of captions of two records.
    """

    n: int
    recall: float
    same: float
    others: float


def make_embedding_plan(
    records: Records,
    source: Mapping[str, Any],
    teacher: TeacherSettings,
    *,
    dtype: Stored,
    parts: int | None = None,
) -> EmbeddingPlan:
    """Go once through all records and plan their files.

    Raises:
        ConfigError: a number is out of its range.
    """
    settings = to_dict(teacher)
    return make_plan(EmbeddingPlan, records, source, parts, teacher=settings, dtype=dtype)


def store_embedded(
    writer: EmbeddingWriter,
    engine: Engine[EmbeddingReport],
    *,
    bad_share: float,
    console: Console,
) -> EmbeddedTexts:
    """Write the files of embeddings that are missing, and what they hold when none is.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        DataError: more cannot be read (what is finished stays), or an embedding is not finite.
        UserError: the disk refuses.
    """
    output, plan = writer.output, writer.plan
    reports = make_missing(writer, engine, output / CONTENTS, bad_share=bad_share, console=console)
    if reports is not None:
        rows = tuple(report.texts for report in reports)
        if not sum(rows):
            raise DataError(f"{output}: the source has no text")
        skipped = Counter(writer.records.skipped)
        skipped[UNREADABLE_RECORD] += sum(len(report.left_out) for report in reports)
        hashes = "".join(report.sha256 for report in reports)
        contents = EmbeddedContents(
            settings=to_dict(plan),
            rows=rows,
            texts=sum(rows),  # until they are indexed
            width=reports[0].width,
            dtype=plan.dtype,
            fingerprint=hashlib.sha256(hashes.encode()).hexdigest(),
            left_out=dict(+skipped),
        )
        complete(output, contents)
    return EmbeddedTexts(output)


def paraphrases(records: Records, found: EmbeddedTexts, most: int = 1000) -> Paraphrases | None:
    """Ask whether embeddings find the second caption of a record by its first.

    Args:
        records: that the texts are of.
        found: their embeddings.
        most: records that are asked about, evenly spread.

    Returns:
        None where fewer than two records have two different captions.
    """
    pairs: list[list[str]] = []
    for index in np.unique(np.linspace(0, len(records) - 1, 2 * most, dtype=np.int64)).tolist():
        try:
            different = list(dict.fromkeys(records.record(index).captions))
        except BadRecord:
            continue
        if len(different) > 1:
            pairs.append(different[:2])
    if len(pairs) < 2:
        return None
    pairs = pairs[:: -(-len(pairs) // most)]
    first, second = (
        found.vectors(found.rows_of([pair[side] for pair in pairs])) for side in (0, 1)
    )
    return told_apart(first, second)


def told_apart(first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "n d"]) -> Paraphrases:
    """Ask whether the second captions of at least two records are found by the first ones.

    Args:
        first: embeddings of the first captions, of any length.
        second: of the second ones, in the same order of records.
    """
    first, second = unit_rows(first), unit_rows(second)
    cosines = first @ second.T
    n, own = len(first), np.diagonal(cosines)
    return Paraphrases(
        n=n,
        recall=float(np.mean((cosines >= own[:, None]).sum(axis=1) == 1)),
        same=float(own.mean()),
        others=float((cosines.sum() - own.sum()) / (n * (n - 1))),
    )


def describe_embedded(found: EmbeddedTexts, told: Paraphrases | None) -> str:
    """Say what a folder of embedded texts holds, and how well it tells captions apart."""
    contents = found.contents
    left_out = ", ".join(f"{count} x {reason}" for reason, count in contents.left_out.items())
    lines = [
        f"{found.folder}: {contents.texts:,} texts, {contents.width} numbers each, {contents.dtype}"
        + (f"; left out: {left_out}" if left_out else "")
    ]
    if told is not None:
        lines.append(f"captions of one picture: {in_words(told)}")
    return "\n".join(lines)


def in_words(told: Paraphrases) -> str:
    """Say how well captions are told apart."""
    return (
        f"the second is found by the first in {told.recall:.1%} of {told.n:,} (chance "
        f"{1 / told.n:.1%}); cosine {told.same:.2f}, of two pictures {told.others:.2f}"
    )


def unit_rows(vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Divide vectors by their lengths; one of zeros stays."""
    vectors = vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)


def _stored(vectors: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # `write_part` refuses what has become infinite
        return vectors.astype(dtype)


@cache
def _teacher(settings: TeacherSettings) -> TextTeacher:
    """Load a teacher once in each process, on a GPU of its own where there are some."""
    there = devices() or ["cpu"]
    return TextTeacher(settings, there[worker_number() % len(there)])
