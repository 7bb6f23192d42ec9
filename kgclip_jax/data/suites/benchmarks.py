"""The table of benchmarks, and how the settings of one become a set."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kgclip_jax.data.evaluation_config import CompositionSuite, OrderSuite, SwapSuite
from kgclip_jax.data.evaluation_sets import ChoiceSet, Question
from kgclip_jax.data.lazy_pictures import EvaluationTransform, encoded_pictures
from kgclip_jax.data.readers import open_records
from kgclip_jax.data.skips import MISSING_IMAGE, Skips
from kgclip_jax.data.suites.aro import attribution, relation
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.data.suites.caption_swaps import swaps
from kgclip_jax.data.suites.nlvr import nlvr
from kgclip_jax.data.suites.order import order, spacy_tagger
from kgclip_jax.data.suites.sugarcrepe import sugarcrepe, sugarcrepe_pp
from kgclip_jax.data.suites.valse import valse
from kgclip_jax.data.suites.vl_checklist import vl_checklist
from kgclip_jax.data.suites.vsr import vsr
from kgclip_jax.data.suites.winoground import winoground
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.parsing import Parser

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


def composition_set(
    settings: CompositionSuite | OrderSuite | SwapSuite,
    path: str | Path,
    *,
    name: str,
    transform: EvaluationTransform,
) -> ChoiceSet:
    """Read a suite's annotations and find its pictures, which are not opened yet.

    Args:
        settings: which suite, and where it lies.
        path: what relative paths start from.
        name: of the set, for logs and tables.
        transform: what the model wants the pictures to be; some suites squash them in any case.

    Raises:
        DataError: a file is missing or malformed, too many pictures are missing, or there is
            nothing to ask; the message names the file and where to get it.
    """
    root = Path(path)
    if isinstance(settings, OrderSuite | SwapSuite):
        suite = Assembly(root)
        records = open_records(settings.source, root, bad_share=settings.bad_share)
        where, captions = records.name, suite.captions_of(records, settings.bad_share)
        if isinstance(settings, OrderSuite):
            questions = order(suite, captions, spacy_tagger(settings.tagger), settings.seed)
        else:
            parse = Parser(settings.parser).parse
            questions = swaps(suite, captions, parse, settings.negatives, settings.seed)
    else:
        suite, kind = Assembly(root / settings.images), _SUITES[settings.kind]
        where = str(root / settings.annotations)
        questions = kind.read(suite, root / settings.annotations)
        files = [picture.name for picture in suite.pictures]
        _check_present(name, suite.images, files, kind.pictures, settings.bad_share)
        if kind.squash:
            transform = transform._replace(resize="squash")
    if not questions:
        raise DataError(f"{where}: no cases to ask about")
    pictures = encoded_pictures(suite.pictures, transform, name=name, bad_share=settings.bad_share)
    return ChoiceSet(name, pictures, suite.texts, questions)


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
