"""Benchmarks of composition in the files of their authors: their table, and their settings."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import ChoiceSet, Question
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.skips import MISSING_IMAGE, Skips
from kgclip_jax.data.suites.aro import attribution, relation
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.data.suites.nlvr import nlvr
from kgclip_jax.data.suites.sugarcrepe import sugarcrepe, sugarcrepe_pp
from kgclip_jax.data.suites.valse import valse
from kgclip_jax.data.suites.vl_checklist import vl_checklist
from kgclip_jax.data.suites.vsr import vsr
from kgclip_jax.data.suites.winoground import winoground
from kgclip_jax.schema import LocalPath

_COCO_2017 = "COCO val2017, http://images.cocodataset.org/zips/val2017.zip"
_VISUAL_GENOME = "Visual Genome, https://homes.cs.washington.edu/~ranjay/visualgenome"


class _Suite(NamedTuple):
    """How a suite is read, what its pictures are, and whether they must be squashed."""

    read: Callable[[Assembly, Path], list[Question]]
    pictures: str
    squash: bool = False


_SUITES = {
    "aro_relation": _Suite(relation, _VISUAL_GENOME),
    "aro_attribution": _Suite(attribution, _VISUAL_GENOME),
    "sugarcrepe": _Suite(sugarcrepe, _COCO_2017),
    "sugarcrepe_pp": _Suite(sugarcrepe_pp, _COCO_2017),
    "winoground": _Suite(winoground, "https://huggingface.co/datasets/facebook/winoground"),
    "valse": _Suite(valse, "those of Visual7W, SWiG, VisDial and COCO, a folder each"),
    "vsr": _Suite(vsr, "COCO train2017 and val2017, in one folder"),
    "vl_checklist": _Suite(vl_checklist, _VISUAL_GENOME),
    "nlvr": _Suite(nlvr, "https://github.com/lil-lab/nlvr", squash=True),
}


@dataclass(frozen=True, kw_only=True)
class CompositionSuite(PictureSet):
    """A benchmark of composition, in the files that its authors have released.

    Attributes:
        kind: which one. `kgclip_jax/data/suites/` has a file for each, with its protocol, and says
            where to get it:

            aro_relation       visual_genome_relation.json; pictures `<image>.jpg`
            aro_attribution    visual_genome_attribution.json; pictures `<image>.jpg`
            sugarcrepe         the folder of its seven files; pictures of COCO val2017
            sugarcrepe_pp      the folder of its five files; pictures of COCO val2017
            winoground         examples.jsonl; pictures `ex_<id>_img_<0|1>.png`
            valse              the folder of its files; pictures in a folder a data set
            vsr                a split such as test.jsonl; pictures of COCO 2017
            vl_checklist       a folder of its files with one picture root; that root
            nlvr               dev.json or the like; the folder `images`
        annotations: the file or folder of captions, absolute or relative to `data.path`.
        images: folder that the paths of the pictures start from, likewise.
    """

    kind: Literal[
        "aro_relation",
        "aro_attribution",
        "sugarcrepe",
        "sugarcrepe_pp",
        "winoground",
        "valse",
        "vsr",
        "vl_checklist",
        "nlvr",
    ]
    annotations: LocalPath
    images: LocalPath

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ChoiceSet:
        """Read the annotations and find the pictures, which are not opened yet.

        Some suites squash their pictures, whatever the model wants.

        Raises:
            DataError: a file is missing or malformed, too many pictures are missing, or there is
                nothing to ask; the message names the file and where to get it.
        """
        suite, kind = Assembly(root / self.images), _SUITES[self.kind]
        annotations = root / self.annotations
        questions = kind.read(suite, annotations)
        files = [picture.name for picture in suite.pictures]
        _check_present(name, suite.images, files, kind.pictures, self.bad_share)
        if kind.squash:
            transform = transform._replace(resize="squash")
        return suite.choice_set(name, questions, transform, self.bad_share, str(annotations))


def _check_present(
    name: str, images: Path, files: Sequence[str], home: str, bad_share: float
) -> None:
    """Raise DataError when too many pictures are missing.

    Folders are listed once each: asking for every file is slow on network disks.
    """
    folders = {os.path.dirname(file) for file in files}
    present = {
        os.path.join(folder, found)
        for folder in folders
        if (images / folder).is_dir()
        for found in os.listdir(images / folder)
    }
    skips = Skips()
    for file in files:
        if file not in present:
            skips.add(MISSING_IMAGE, file)
    skips.check(
        name, f"{images} (get the pictures: {home})", {MISSING_IMAGE: len(files)}, bad_share
    )
