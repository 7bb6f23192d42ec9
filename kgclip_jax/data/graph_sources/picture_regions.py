"""Regions of Visual Genome's pictures (Krishna et al., IJCV 2017) and how they relate.

    scene_graphs.json, or relationships.json and attributes.json
                       objects with boxes, relations between objects of one picture
    image_data.json    sizes of pictures
    VG_100K/2.jpg, VG_100K_2/1.jpg, ...

An entity is an object: its name, its picture, its box. See `readers.visual_genome_graphs` for the
fields that are read, and how names and predicates are spelt.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa

from kgclip_jax.data.graph_sources.graph_source import (
    LONE_REGION,
    RARE_PREDICATE,
    SMALL_END,
    SMALL_REGION,
    Block,
    triples_of,
)
from kgclip_jax.data.images import whole_pixels
from kgclip_jax.data.readers.visual_genome import IMAGES, ListedPicture, listed_pictures
from kgclip_jax.data.readers.visual_genome_graphs import (
    MISSING_OBJECT,
    NAMELESS,
    NO_PREDICATE,
    AnnotatedLink,
    AnnotatedPicture,
    AnnotatedThing,
    annotated_pictures,
    graph_files,
)
from kgclip_jax.data.skips import EMPTY_BOX, MISSING_IMAGE, Skips
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.knowledge.graph.entities import Box, entity_rows
from kgclip_jax.ranges import NonNegativeInt, PositiveInt
from kgclip_jax.schema import LocalPath

NO_BOX = "object without a box"

_PICTURES = 2000  # of a block


class _Region(NamedTuple):
    name: str
    box: Box


class _Drawn(NamedTuple):
    """A picture, and the regions and relations of it that can be used."""

    file: str
    regions: Mapping[int, _Region]
    links: Sequence[AnnotatedLink]


@dataclass(frozen=True)
class PictureRegions:
    """A folder of Visual Genome.

    Attributes:
        kind: tells this source apart from the others.
        folder: of the files above.
        most_predicates: relations of this many predicates, the most frequent ones, are read; 0: of
            all.
        least_side: regions with a shorter side are left out, in pixels.
    """

    kind: Literal["visual_genome"] = "visual_genome"
    folder: LocalPath = "."
    most_predicates: NonNegativeInt = 50
    least_side: PositiveInt = 32

    def files(self) -> Mapping[str, Path]:
        """Return the two or three files. Raises DataError when one is missing."""
        paths = (*graph_files(Path(self.folder)), Path(self.folder) / IMAGES)
        return {path.name: path for path in paths}

    def entities(self) -> Iterator[Block]:
        """Yield the regions of some pictures at a time. Raises DataError."""
        for pictures in self._blocks():
            yield partial(self._described, pictures)

    def triples(self) -> Iterator[Block]:
        """Yield the relations of some pictures at a time. Raises DataError."""
        for pictures in self._blocks():
            yield partial(self._related, pictures)

    def implied_names(self, keys: pa.Array) -> None:
        """Return nothing: relations have regions at both ends."""

    def phrase(self, relation: str) -> str:
        """Return the predicate: it is in words."""
        return relation

    def _blocks(self) -> Iterator[Sequence[tuple[int, AnnotatedPicture]]]:
        pictures = annotated_pictures(Path(self.folder))
        while block := list(islice(pictures, _PICTURES)):
            yield block

    def _described(
        self, pictures: Sequence[tuple[int, AnnotatedPicture]], skips: Skips
    ) -> pa.Table:
        rows = []
        for identity, picture in pictures:
            drawn = self._drawn(identity, picture, skips, Skips())
            ends = {end for link in drawn.links for end in (link.subject, link.object)}
            if lone := drawn.regions.keys() - ends:
                skips.add(LONE_REGION, _key(identity, min(lone)), len(lone))
            rows += [
                (_key(identity, number), region.name, [drawn.file], region.box)
                for number, region in drawn.regions.items()
                if number in ends
            ]
        keys, names, images, boxes = zip(*rows, strict=True) if rows else ((), (), (), ())
        return entity_rows(keys, names, images=images, boxes=boxes, kinds=["region"] * len(keys))

    def _related(self, pictures: Sequence[tuple[int, AnnotatedPicture]], skips: Skips) -> pa.Table:
        return triples_of(
            [
                (_key(identity, link.subject), link.predicate, _key(identity, link.object))
                for identity, picture in pictures
                for link in self._drawn(identity, picture, Skips(), skips).links
            ]
        )

    def _drawn(
        self, identity: int, picture: AnnotatedPicture, of_regions: Skips, of_links: Skips
    ) -> _Drawn:
        """Return what can be used of a picture; what is left out is counted on two lists."""
        if identity not in self._pictures:
            raise DataError(f"{self.folder}: the picture {identity} is not in {IMAGES}")
        listed = self._pictures[identity]
        if not (Path(self.folder) / listed.file).is_file():
            of_regions.add(MISSING_IMAGE, listed.file)
            return _Drawn(listed.file, {}, ())
        regions = {}
        known = set()
        for thing in picture.things:
            if thing.identity not in known:
                known.add(thing.identity)
                region = self._region(thing, listed)
                if isinstance(region, _Region):
                    regions[thing.identity] = region
                else:
                    of_regions.add(region, _key(identity, thing.identity))
        links = []
        for link in picture.links:
            if reason := self._flaw(link, known, regions):
                of_links.add(reason, f"{identity}/{link.subject}-{link.object}")
            else:
                links.append(link)
        return _Drawn(listed.file, regions, links)

    def _region(self, thing: AnnotatedThing, picture: ListedPicture) -> _Region | str:
        """Return the region of an object, or why it has none."""
        if not thing.name:
            return NAMELESS
        if thing.box is None:
            return NO_BOX
        try:
            top, left, height, width = whole_pixels(thing.box, picture.height, picture.width)
        except BadRecord:
            return EMPTY_BOX
        if min(height, width) < self.least_side:
            return SMALL_REGION
        return _Region(thing.name, (left, top, width, height))

    def _flaw(
        self, link: AnnotatedLink, known: set[int], regions: Mapping[int, _Region]
    ) -> str | None:
        ends = {link.subject, link.object}
        if not ends <= known:
            return MISSING_OBJECT
        if not link.predicate:
            return NO_PREDICATE
        if not ends <= regions.keys():
            return SMALL_END
        return RARE_PREDICATE if link.predicate not in self._predicates else None

    @cached_property
    def _pictures(self) -> Mapping[int, ListedPicture]:
        return listed_pictures(Path(self.folder) / IMAGES)

    @cached_property
    def _predicates(self) -> frozenset[str]:
        """Predicates that are frequent enough; the files are read once for them."""
        counts = Counter(
            link.predicate
            for _, picture in annotated_pictures(Path(self.folder))
            for link in picture.links
        )
        del counts[""]
        return frozenset(word for word, _ in counts.most_common(self.most_predicates or None))


def _key(picture: int, number: int) -> str:
    return f"{picture}/{number}"
