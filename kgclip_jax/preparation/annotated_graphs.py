"""Scene graphs from files of annotations: a folder for `GraphStore`, made in one go.

OUTPUT/graphs.json, graphs.npy, graphs-*.bin    see `kgclip_jax.knowledge.graph_store`
OUTPUT/reports/plan.json                          what they are made of

Structure-CLIP's file gives graphs of captions: those of a source, found by their picture and text.
Visual Genome's files give graphs of whole pictures.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, get_args

from rich.console import Console

from kgclip_jax.data.readers.structure_clip_captions import structure_clip_captions
from kgclip_jax.data.readers.visual_genome_graphs import graph_files, visual_genome_graphs
from kgclip_jax.data.records import Records
from kgclip_jax.data.skips import UNREADABLE_RECORD, Skips
from kgclip_jax.errors import BadRecord, ConfigError
from kgclip_jax.files import atomic_file, expanded, sha256, writing
from kgclip_jax.knowledge.clean_captions import clean_caption
from kgclip_jax.knowledge.graph_record import pack
from kgclip_jax.knowledge.graph_store import (
    CONTENTS,
    LAYOUT,
    Contents,
    complete,
    pack_picture,
    part_file,
    read_contents,
)
from kgclip_jax.knowledge.triples import Triple, from_triples
from kgclip_jax.preparation.graph_counts import Counts
from kgclip_jax.preparation.parts import begin, fingerprint
from kgclip_jax.preparation.progress import RecordsProgress
from kgclip_jax.schema import suggestion, to_dict

NO_ENTRY = "caption without an entry"

Kind = Literal["structure_clip", "visual_genome"]


class Annotations(NamedTuple):
    """A kind of annotations, and the file, or the folder of files, that holds them."""

    kind: Kind
    path: Path


@dataclass(frozen=True)
class AnnotationPlan:
    """Everything that the graphs depend on.

    Attributes:
        annotations: kind of the files.
        sha256: hash of each file, by its name.
        source: settings of the records' source, as plain values; empty for graphs of pictures.
        fingerprint: hash of the keys, captions and boxes of all records; empty likewise.
        layout: of the files of graphs.
    """

    annotations: Kind
    sha256: dict[str, str]
    source: dict
    fingerprint: str = ""
    layout: int = LAYOUT


class _Stored(NamedTuple):
    """What is stored of a record or picture, and what it adds to the counts."""

    content: bytes
    counts: Counts


def named_annotations(name: str) -> Annotations:
    """Return the annotations that `KIND:PATH` names on a command line.

    Raises:
        ConfigError: the kind is unknown, or there is no path.
    """
    kind, _, path = name.partition(":")
    for known in get_args(Kind):
        if kind == known and path:
            return Annotations(known, Path(expanded(path)))
    if kind in get_args(Kind):
        raise ConfigError(f"annotations are named as KIND:PATH, not {name!r}")
    raise ConfigError(f"no annotations are of the kind {kind!r}{suggestion(kind, get_args(Kind))}")


def store_captions(
    records: Records,
    source: Mapping[str, Any],
    file: Path,
    output: Path,
    *,
    bad_share: float,
    console: Console,
) -> Contents:
    """Store the graphs that Structure-CLIP's file has of the captions of a source.

    A caption belongs to the entry of the same words whose picture has the same name, without its
    folders and extension; the first of several counts. Without one it gets an empty graph.

    `bad_share` is the largest share of captions without an entry, and of records that cannot be
    read.

    Raises:
        ConfigError: the folder holds something else.
        DataError: the file is malformed, too much is missing, or two records have one key.
        UserError: the disk refuses.
    """
    hashes = {file.name: sha256(file)}
    plan = AnnotationPlan("structure_clip", hashes, dict(source), fingerprint(records))
    if (finished := _begin(output, plan)) is not None:
        return finished
    skips = Skips()
    stored = _of_captions(records, _entries(file), skips)
    counts = _write(output, stored, len(records), "records", console)
    totals = {NO_ENTRY: counts.captions, UNREADABLE_RECORD: len(records)}
    skips.check(records.name, str(file), totals, bad_share)
    return _finish(output, plan, counts, Counter(records.skipped) + Counter(skips.counts))


def store_pictures(folder: Path, output: Path, *, bad_share: float, console: Console) -> Contents:
    """Store Visual Genome's graphs of whole pictures, by the ids of the pictures.

    Raises:
        ConfigError: the folder holds something else.
        DataError: a file is missing or malformed, or too much was left out.
        UserError: the disk refuses.
    """
    hashes = {file.name: sha256(file) for file in graph_files(folder)}
    plan = AnnotationPlan("visual_genome", hashes, {})
    if (finished := _begin(output, plan)) is not None:
        return finished
    skips = Skips()
    stored = (
        _Stored(pack_picture(str(identity), graph), Counts.of_record([graph]))
        for identity, graph in visual_genome_graphs(folder, skips, bad_share=bad_share)
    )
    counts = _write(output, stored, None, "pictures", console)
    return _finish(output, plan, counts, Counter(skips.counts))


def _begin(output: Path, plan: AnnotationPlan) -> Contents | None:
    """Make a folder ready; return what it holds if it is finished already."""
    begin(output, plan)
    return read_contents(output) if (output / CONTENTS).exists() else None


def _write(
    output: Path, stored: Iterable[_Stored], total: int | None, unit: str, console: Console
) -> Counts:
    path = output / part_file(0, 1)
    sums = Counts()
    with (
        RecordsProgress(console, 0, total, unit) as progress,
        atomic_file(path) as temporary,
        writing(path),
        temporary.open("wb") as file,
    ):
        for record in stored:
            file.write(record.content)
            sums += record.counts
            progress.advance(1)
    return sums


def _finish(
    output: Path, plan: AnnotationPlan, counts: Counts, skipped: Mapping[str, int]
) -> Contents:
    of: Literal["captions", "pictures"] = (
        "pictures" if plan.annotations == "visual_genome" else "captions"
    )
    contents = Contents(
        settings=to_dict(plan), parts=1, skipped=dict(skipped), of=of, **asdict(counts)
    )
    return complete(output, contents)


def _entries(file: Path) -> dict[tuple[str, str], tuple[Triple, ...]]:
    """Return the triples of each caption, by its picture and words."""
    entries: dict[tuple[str, str], tuple[Triple, ...]] = {}
    for entry in structure_clip_captions(file):
        entries.setdefault(_place(entry.image, entry.text), entry.triples)
    return entries


def _of_captions(
    records: Records, entries: Mapping[tuple[str, str], Iterable[Triple]], skips: Skips
) -> Iterator[_Stored]:
    for index in range(len(records)):
        try:
            record = records.record(index)
        except BadRecord as error:
            skips.add(UNREADABLE_RECORD, f"record {index} ({error})")
            continue
        graphs = []
        for number, text in enumerate(record.captions):
            triples = entries.get(_place(record.key, text))
            if triples is None:
                skips.add(NO_ENTRY, f"{record.key}, caption {number}")
            graphs.append(from_triples(text, triples or ()))
        yield _Stored(pack(record.key, record.captions, graphs), Counts.of_record(graphs))


def _place(picture: str, text: str) -> tuple[str, str]:
    return PurePosixPath(picture).stem, clean_caption(text)
