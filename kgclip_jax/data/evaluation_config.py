"""Held-out sets that belong to no training source, as a config names them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.ranges import Share
from kgclip_jax.schema import Registry

_SUITE = "kgclip_jax.data.suites.benchmarks:CompositionSuite"

EVALUATIONS = Registry(
    "evaluation",
    {
        "retrieval": "kgclip_jax.data.captioned_retrieval:CaptionedRetrieval",
        "classification": "kgclip_jax.data.classification:ClassificationFolder",
        "linear_probe": "kgclip_jax.data.linear_probe_folders:LinearProbeFolders",
        "labelled": "kgclip_jax.data.labelled_set:LabelledEvaluation",
        "links": "kgclip_jax.data.link_sets:LinksConfig",
        "concepts": "kgclip_jax.data.concept_sets:ConceptEvaluation",
        "order": "kgclip_jax.data.suites.of_captions:OrderSuite",
        "swaps": "kgclip_jax.data.suites.of_captions:SwapSuite",
        "aro_relation": _SUITE,
        "aro_attribution": _SUITE,
        "sugarcrepe": _SUITE,
        "sugarcrepe_pp": _SUITE,
        "winoground": _SUITE,
        "valse": _SUITE,
        "vsr": _SUITE,
        "vl_checklist": _SUITE,
        "nlvr": _SUITE,
        "awa2": "kgclip_jax.data.attribute_sets.awa2:Awa2",
        "awa2_attribute_probe": "kgclip_jax.data.attribute_sets.awa2:Awa2AttributeProbe",
        "cub": "kgclip_jax.data.attribute_sets.cub:Cub",
        "cub_attribute_probe": "kgclip_jax.data.attribute_sets.cub:CubAttributeProbe",
        "reconstruction": "kgclip_jax.data.captioned_reconstruction:CaptionReconstruction",
        "emoji_retrieval": "kgclip_jax.data.emoji.probes:EmojiRetrieval",
        "emoji_attributes": "kgclip_jax.data.emoji.probes:EmojiAttributes",
        "emoji_names": "kgclip_jax.data.emoji.probes:EmojiNames",
        "emoji_synonyms": "kgclip_jax.data.emoji.probes:EmojiSynonyms",
        "emoji_linear_probe": "kgclip_jax.data.emoji.probes:EmojiLinearProbe",
        "emoji_concepts": "kgclip_jax.data.emoji.probes:EmojiConcepts",
        "emoji_reconstruction": "kgclip_jax.data.emoji.told_scenes:EmojiReconstruction",
    },
)


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """What all kinds have in common.

    Attributes:
        bad_share: largest share of pictures (or of the records that they come from) that may be
            missing or unreadable; what is asked about them is left out.
    """

    bad_share: Share = 0.0


@runtime_checkable
class EvaluationConfig(Protocol):
    """A frozen dataclass that is a held-out set's entry in a config."""

    @property
    def kind(self) -> str:
        """Its name in `EVALUATIONS`."""
        ...

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> EvaluationSet:
        """Read what is asked; no picture is read yet.

        Relative paths start from `root`.

        Raises:
            DataError: a file is missing or malformed; the message names it.
        """
        ...
