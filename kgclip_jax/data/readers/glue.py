"""GLUE: nine tasks about sentences, a folder each, as its download script leaves them.

    CoLA/train.tsv   no header: source, label, mark, sentence
    SST-2/           sentence, label
    MRPC/            Quality, #1 ID, #2 ID, #1 String, #2 String
    QQP/             id, qid1, qid2, question1, question2, is_duplicate
    STS-B/           ..., sentence1, sentence2, score (0 to 5)
    MNLI/            ..., sentence1, sentence2, label1, ..., gold_label; dev_matched.tsv and
                     dev_mismatched.tsv
    QNLI/            index, question, sentence, label
    RTE/, WNLI/      index, sentence1, sentence2, label

Columns are between tabs, and quotes are letters like others: many stand alone. A line with another
number of columns is left out and counted, as others do without a word: some versions of QQP have a
few. Test files have no labels, and are not read.

Source: Wang et al., GLUE, ICLR 2019; columns and metrics as in github.com/nyu-mll/GLUE-baselines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from kgclip_jax.data.graph_sources.text_blocks import lines_of
from kgclip_jax.data.labelled import Item, Items, gather
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.schema import LocalPath

WRONG_COLUMNS = "line with another number of columns than the first"
MOST_SIMILAR = 5.0  # in STS-B

_YES_NO = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")
_SENTENCES = ("sentence1", "sentence2")


class _Task(NamedTuple):
    """Where texts and label of a task stand, and how it is measured.

    Attributes:
        texts: their columns.
        label: its column.
        classes: what it may be; none for a number.
        metrics: those of GLUE.
        columns: of a file without a header.
    """

    texts: tuple[str, ...]
    label: str
    classes: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    columns: tuple[str, ...] = ()


_TASKS = {
    "CoLA": _Task(
        ("sentence",), "label", _YES_NO, ("Matthews",), ("source", "label", "mark", "sentence")
    ),
    "SST-2": _Task(("sentence",), "label", _YES_NO),
    "MRPC": _Task(("#1 String", "#2 String"), "Quality", _YES_NO, ("F1", "accuracy")),
    "QQP": _Task(("question1", "question2"), "is_duplicate", _YES_NO, ("F1", "accuracy")),
    "STS-B": _Task(_SENTENCES, "score", (), ("Pearson", "Spearman")),
    "MNLI": _Task(_SENTENCES, "gold_label", ("contradiction", "entailment", "neutral")),
    "QNLI": _Task(("question", "sentence"), "label", _ENTAILMENT),
    "RTE": _Task(_SENTENCES, "label", _ENTAILMENT),
    "WNLI": _Task(_SENTENCES, "label", _YES_NO),
}


@dataclass(frozen=True, kw_only=True)
class GlueData:
    """A part of a task, as a config names it.

    Attributes:
        kind: tells this data apart from others.
        task: whose folder is read.
        split: name of the file in it: "train", "dev"; "dev_matched" or "dev_mismatched" of MNLI.
        folder: that the folders of the tasks lie in, absolute or in `data.path`.
    """

    kind: Literal["glue"] = "glue"
    task: Literal["CoLA", "SST-2", "MRPC", "QQP", "STS-B", "MNLI", "QNLI", "RTE", "WNLI"]
    split: str
    folder: LocalPath = "."
    images: ClassVar[None] = None

    @property
    def metrics(self) -> Sequence[str]:
        """Those of GLUE."""
        return _TASKS[self.task].metrics

    def read(self, root: Path, *, bad_share: float) -> Items:
        """Read the lines; a score of STS-B is told as a share of the highest.

        Raises:
            DataError: the file is missing, has no such columns, too many lines with others, or a
                label that is unknown.
        """
        path, skips = root / self.folder / self.task / f"{self.split}.tsv", Skips()
        task = _TASKS[self.task]
        items = list(_items(path, task, skips))
        lines = len(items) + skips.counts.get(WRONG_COLUMNS, 0)
        skips.check(str(path), str(path), {WRONG_COLUMNS: lines}, bad_share)
        return gather(items, task.classes or ("score",), path)


def _items(path: Path, task: _Task, skips: Skips) -> Iterator[Item]:
    columns = task.columns
    for number, line in lines_of(path):
        fields = line.rstrip("\r").split("\t")
        if not columns:
            columns = tuple(fields)
            if missing := [name for name in (*task.texts, task.label) if name not in columns]:
                raise DataError(f"{path}, line {number}: no column {missing[0]!r}, got {line!r}")
        elif len(fields) != len(columns):
            if line.strip():
                skips.add(WRONG_COLUMNS, f"line {number} ({len(fields)}, not {len(columns)})")
        else:
            row = dict(zip(columns, fields, strict=True))
            target = _target(task, row[task.label], f"{path}, line {number}")
            yield Item(tuple(row[name] for name in task.texts), target)


def _target(task: _Task, label: str, place: str) -> dict[int, float]:
    if label in task.classes:
        return {task.classes.index(label): 1.0}
    if task.classes:
        known = ", ".join(task.classes)
        raise DataError(f"{place}: {task.label} is {label!r}, none of {known}")
    try:
        share = float(label) / MOST_SIMILAR
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise DataError(f"{place}: {task.label} is {label!r}, no number from 0 to {MOST_SIMILAR:g}")
    return {0: share}
