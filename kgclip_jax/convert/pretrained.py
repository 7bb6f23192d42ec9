"""Models that others have trained, opened from a folder, a file or the Hugging Face hub."""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

from kgclip_jax.convert import knowledge, openai
from kgclip_jax.convert.clip_layouts import SIGMOID
from kgclip_jax.convert.families import FAMILIES
from kgclip_jax.convert.family import Family, Format
from kgclip_jax.convert.hub import is_hub_id
from kgclip_jax.convert.names import listing
from kgclip_jax.convert.rules import Weights, parameter_shapes, ruled, same, share_known, to_ours
from kgclip_jax.convert.sources import (
    EXTRA_FILE,
    describe,
    descriptions,
    fetch,
    find,
    why_undescribed,
)
from kgclip_jax.convert.weights import SUFFIXES, Lazy, read_weights
from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson
from kgclip_jax.errors import ConversionError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params

LOGIT_BIAS = "logit_bias"
LOCAL, HUB = "local-dir:", "hf-hub:"
_GIVE_SHAPE = (
    'say which: kgclip_jax.load(SOURCE, shape=preset("ViT-B-32")), with `preset` from '
    "kgclip_jax.models.presets, or in training config.model beside config.init_from"
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pretrained:
    """A model that others have trained: its description, and its weights when asked for.

    Attributes:
        origin: what it was opened by.
        family: name of one of `families.FAMILIES`.
        shape: the architecture, by the source's own word where it has one.
        folder: where its tokenizer may be found; None where it has no files or they are of another
            model.
        file: the weights.
        described: whether it says itself what it is; otherwise `shape` is the caller's word.
    """

    origin: str
    family: str
    shape: spec.DualEncoder
    folder: Path | None
    file: Path
    described: bool = True

    @property
    def element_tokenizer(self) -> TokenizerJson | None:
        """That of the knowledge encoder's word pieces; None if it reads none.

        Raises ConversionError where it is missing.
        """
        return knowledge.read_tokenizer(self.file.parent, self.shape)

    @property
    def parser(self) -> str | None:
        """The pipeline that parsed the captions of its knowledge encoder, if it names one."""
        return knowledge.read_parser(self.file.parent, self.shape)

    def params(self) -> Params:
        """Read and convert the weights.

        An export of ours has parameters beside it that its format cannot hold. Those of heads that
        no `Model` has are not taken, with a line in the log.

        Returns:
            Nested dicts of float32 arrays: the parameters of `Model(shape)`.

        Raises:
            ConversionError: naming the weights that are missing, unused, or of another shape or
                kind of number.
        """
        family = next(family for family in FAMILIES if family.name == self.family)
        extra, held = _extra(self.file), self.shape
        if LOGIT_BIAS in extra:
            held = dataclasses.replace(held, logit_bias=None)
        rules = (*family.rules(held), *knowledge.rules(self.shape))
        paths = (extra.keys() & parameter_shapes(self.shape).keys()) - ruled(rules)
        known = self.shape.knowledge is not None
        beside = paths | {name for name in extra if known and name.startswith(knowledge.PREFIX)}
        if heads := sorted(extra.keys() - beside):
            file = self.file.with_name(EXTRA_FILE)
            _logger.warning("%s: not taken, of no tower: %s", file, ", ".join(heads))
        rules = (*rules, *(same(path, path) for path in sorted(paths)))
        weights = _canonical(read_weights(self.file), family)
        both = Lazy((*weights, *beside), lambda name: (extra if name in beside else weights)[name])
        try:
            return to_ours(rules, both, self.shape, ignorable=family.ignorable)
        except ConversionError as error:
            source = "that is described" if self.described else "of the given shape"
            raise ConversionError(
                f"{self.file} does not hold the {family.name} {source}:\n{error}"
            ) from error


def open_pretrained(source: str | Path, *, shape: spec.DualEncoder | None = None) -> Pretrained:
    """Open a model.

    Args:
        source: a folder as Hugging Face transformers or open_clip write it; the name of such a one
            on the hub ("organisation/model"); or a file of weights. open_clip's prefixes
            "local-dir:" and "hf-hub:" may stand before it: of a folder with both libraries' files
            open_clip's are then read, and else Hugging Face's.
        shape: the architecture of a file of weights that has no description. Other sources describe
            themselves; `family.differences` compares that with what is wanted.

    Raises:
        ConversionError: when there is no such model, its description is not understood or asks for
            what cannot be had here, or a file has neither description nor `shape`.
    """
    name = str(source)
    prefix = next((prefix for prefix in (LOCAL, HUB) if name.startswith(prefix)), "")
    preferred: Format = "open_clip" if prefix else "huggingface"
    path = Path(name.removeprefix(prefix)).expanduser()
    if not path.exists():
        _check_may_be_on_hub(path, name, prefix)
        path = fetch(name.removeprefix(prefix), preferred)
    if path.is_file():
        return _open_file(name, path, shape)
    if found := find(path, preferred):
        described = _with_extra(describe(found.family, found.files, path), found.weights)
        return Pretrained(name, found.family.name, described, path, found.weights)
    files = [file for file in path.iterdir() if file.suffix in SUFFIXES]
    alone = [file for file in files if file.name != EXTRA_FILE]
    if len(alone) != 1:
        raise ConversionError(
            f"{path} is no model: {why_undescribed(descriptions(path))}, and it has {len(alone)} "
            "files of weights instead of one"
        )
    return _open_file(name, alone[0], shape)


def _check_may_be_on_hub(path: Path, name: str, prefix: str) -> None:
    """Raise ConversionError for what is not here and can only have been meant to be here."""
    named = is_hub_id(name.removeprefix(prefix)) and path.suffix not in SUFFIXES
    if prefix == LOCAL or not named:
        raise ConversionError(f"there is no model {name}: no such file or folder")
    if prefix != HUB and path.parent.is_dir():
        raise ConversionError(
            f"there is no model {name}: {path.parent} is a folder without {path.name}; for the one "
            f"on the Hugging Face hub write {HUB}{name}"
        )


def _open_file(origin: str, file: Path, shape: spec.DualEncoder | None) -> Pretrained:
    """Open weights by their own description, that beside them, or the one given."""
    weights = read_weights(file)
    if weights.keys() >= set(openai.SCALARS):
        shapes = {openai.SHAPES: {name: array.shape for name, array in weights.items()}}
        described = _with_extra(describe(openai.FAMILY, shapes, file), file)
        return Pretrained(origin, openai.FAMILY.name, described, None, file)
    files = descriptions(file.parent)
    for family in FAMILIES:
        if family.recognises(files):
            described = describe(family, files, file.parent)
            if _fit(family, described, weights) > 0.5:
                described = _with_extra(described, file)
                return Pretrained(origin, family.name, described, file.parent, file)
    if shape is None:
        raise ConversionError(
            f"{file} does not say which architecture it is of: {why_undescribed(files)}; "
            f"{_GIVE_SHAPE}"
        )
    nearest = max(FAMILIES, key=lambda family: _fit(family, shape, weights))
    if _fit(nearest, shape, weights) <= 0.5:
        raise ConversionError(f"{file} holds weights of no family that is known here")
    folder = None if files else file.parent
    return Pretrained(origin, nearest.name, shape, folder, file, described=False)


def _fit(family: Family, shape: spec.DualEncoder, weights: Weights) -> float:
    """Which share of the weights has names that the family's table knows."""
    return share_known(family.rules(shape), [family.canonical(name) for name in weights])


def _canonical(weights: Weights, family: Family) -> Weights:
    """The same weights under the names that the family's table has."""
    names = {family.canonical(name): name for name in weights}
    if len(names) < len(weights):
        twice = weights.keys() - names.values()
        raise ConversionError(f"weights that are there under two names:\n{listing(twice)}")
    return Lazy(names, lambda name: weights[names[name]])


def _extra(file: Path) -> Weights:
    """Parameters by path that lie beside a file of weights."""
    beside = file.with_name(EXTRA_FILE)
    return read_weights(beside) if beside.exists() else {}


def _with_extra(shape: spec.DualEncoder, file: Path) -> spec.DualEncoder:
    """The architecture, with a logit bias and a knowledge encoder if the folder has them."""
    extra = _extra(file)
    shape = dataclasses.replace(shape, **SIGMOID) if LOGIT_BIAS in extra else shape
    return knowledge.read(file.parent, shape, extra)
