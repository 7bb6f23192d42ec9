"""Models that others have trained, opened from a folder, a file or the Hugging Face hub."""

import dataclasses
import logging
from functools import partial
from pathlib import Path

from kgclip_jax.convert import knowledge, openai
from kgclip_jax.convert.clip_layouts import SIGMOID
from kgclip_jax.convert.families import FAMILIES
from kgclip_jax.convert.family import Family
from kgclip_jax.convert.foreign_models import (
    EXTRA_FILE,
    describe,
    descriptions,
    find,
    locate,
    why_undescribed,
)
from kgclip_jax.convert.names import listing
from kgclip_jax.convert.rules import Weights, parameter_shapes, ruled, same, share_known, to_ours
from kgclip_jax.convert.tokenizer_files import read_tokenizer
from kgclip_jax.convert.weights import SUFFIXES, Lazy, read_weights
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, Tokenizers, TokenizerSettings
from kgclip_jax.errors import ConversionError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.store.trained import Trained

LOGIT_BIAS = "logit_bias"
_GIVE_SHAPE = (
    'say which: kgclip_jax.load(SOURCE, shape=preset("ViT-B-32")), with `preset` from '
    "kgclip_jax.models.presets, or in training config.model beside config.init_from"
)

_logger = logging.getLogger(__name__)


def open_pretrained(source: str | Path, *, shape: spec.DualEncoder | None = None) -> Trained:
    """Open a model.

    Args:
        source: a folder as Hugging Face transformers or open_clip write it; the name of such a one
            on the hub ("organisation/model", or "organisation/model@REVISION"); or a file of
            weights. open_clip's prefixes "local-dir:" and "hf-hub:" may stand before it: of a
            folder with both libraries' files open_clip's are then read, and else Hugging Face's.
        shape: the architecture of a file of weights that has no description. Other sources describe
            themselves; `family.differences` compares that with what is wanted.

    Raises:
        ConversionError: when there is no such model, its description or tokenizer is not understood
            or asks for what cannot be had here, or a file has neither description nor `shape`. What
            is wrong with the weights is said when they are read.
    """
    path, preferred, origin = locate(str(source))
    if path.is_file():
        return _open_file(origin, path, shape)
    if found := find(path, preferred):
        described = describe(found.family, found.files, path)
        return _trained(origin, found.family, described, found.weights, path)
    files = [file for file in path.iterdir() if file.suffix in SUFFIXES]
    alone = [file for file in files if file.name != EXTRA_FILE]
    if len(alone) != 1:
        raise ConversionError(
            f"{path} is no model: {why_undescribed(descriptions(path))}, and it has {len(alone)} "
            "files of weights instead of one"
        )
    return _open_file(origin, alone[0], shape)


def _open_file(origin: str, file: Path, shape: spec.DualEncoder | None) -> Trained:
    """Open weights by their own description, that beside them, or the one given."""
    weights = read_weights(file)
    if weights.keys() >= set(openai.SCALARS):
        shapes = {openai.SHAPES: {name: array.shape for name, array in weights.items()}}
        return _trained(origin, openai.FAMILY, describe(openai.FAMILY, shapes, file), file, None)
    files = descriptions(file.parent)
    for family in FAMILIES:
        if family.recognises(files):
            described = describe(family, files, file.parent)
            if _fit(family, described, weights) > 0.5:
                return _trained(origin, family, described, file, file.parent)
    if shape is None:
        raise ConversionError(
            f"{file} does not say which architecture it is of: {why_undescribed(files)}; "
            f"{_GIVE_SHAPE}"
        )
    nearest = max(FAMILIES, key=lambda family: _fit(family, shape, weights))
    if _fit(nearest, shape, weights) <= 0.5:
        raise ConversionError(f"{file} holds weights of no family that is known here")
    return _trained(origin, nearest, shape, file, None if files else file.parent, described=False)


def _fit(family: Family, shape: spec.DualEncoder, weights: Weights) -> float:
    """Which share of the weights has names that the family's table knows."""
    return share_known(family.rules(shape), [family.canonical(name) for name in weights])


def _trained(
    origin: str,
    family: Family,
    shape: spec.DualEncoder,
    file: Path,
    folder: Path | None,
    *,
    described: bool = True,
) -> Trained:
    """Put together what is known of weights.

    Args:
        origin: what they were opened by.
        family: of their names.
        shape: of the towers; what lies beside the weights may add to it where it is `described`.
        file: the weights.
        folder: of the tokenizer; None where the files beside the weights are of another model.
        described: whether the source says itself what it is.
    """
    if described:
        shape = _with_extra(shape, file)
    if family.name == openai.FAMILY.name:
        text: TokenizerSettings | None = ClipBpe()
    else:
        text = None if folder is None else read_tokenizer(folder)
    elements = knowledge.read_tokenizer(file.parent, shape)
    return Trained(
        origin,
        shape,
        None if text is None else Tokenizers(text, elements),
        partial(_read_params, family, shape, file, described),
        parser=knowledge.read_parser(file.parent, shape),
        described=described,
    )


def _read_params(family: Family, shape: spec.DualEncoder, file: Path, described: bool) -> Params:
    """Read and convert weights.

    An export of ours has parameters beside it that its format cannot hold. Those of heads that no
    `Model` has are not taken, with a line in the log.

    Returns:
        Nested dicts of float32 arrays: the parameters of `Model(shape)`.

    Raises:
        ConversionError: naming the weights that are missing, unused, or of another shape or kind of
            number.
    """
    extra, held = _extra(file), shape
    if LOGIT_BIAS in extra:
        held = dataclasses.replace(held, logit_bias=None)
    rules = (*family.rules(held), *knowledge.rules(shape))
    paths = (extra.keys() & parameter_shapes(shape).keys()) - ruled(rules)
    known = shape.knowledge is not None
    beside = paths | {name for name in extra if known and name.startswith(knowledge.PREFIX)}
    if heads := sorted(extra.keys() - beside):
        place = file.with_name(EXTRA_FILE)
        _logger.warning("%s: not taken, of no tower: %s", place, ", ".join(heads))
    rules = (*rules, *(same(path, path) for path in sorted(paths)))
    weights = _canonical(read_weights(file), family)
    both = Lazy((*weights, *beside), lambda name: (extra if name in beside else weights)[name])
    try:
        return to_ours(rules, both, shape, ignorable=family.ignorable)
    except ConversionError as error:
        which = "that is described" if described else "of the given shape"
        raise ConversionError(
            f"{file} does not hold the {family.name} {which}:\n{error}"
        ) from error


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
