"""Trained models from anywhere: a run of this library, or weights that PyTorch users publish."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax

from kgclip_jax import config, schema
from kgclip_jax.convert import openai
from kgclip_jax.convert.family import differences
from kgclip_jax.convert.positions import resize_positions
from kgclip_jax.convert.pretrained import Pretrained, open_pretrained
from kgclip_jax.convert.tokenizer_files import read_tokenizer
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, TokenizerSettings, make_tokenizer
from kgclip_jax.errors import CheckpointError, ConfigError, ConversionError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.models.transformer import Execution
from kgclip_jax.training.checkpoints import Checkpoints, Description, describe, saved_steps
from kgclip_jax.training.lora import abstract_params, merge
from kgclip_jax.types import Tokenizer
from kgclip_jax.workdir import Workdir

AUTOMATIC = Execution()


@dataclass(frozen=True)
class Trained:
    """A trained model whose parameters have not been read yet.

    Attributes:
        origin: where it comes from, for messages.
        shape: its architecture and preprocessing.
        tokenizer: its tokenizer, or None where the source has none.
        read: returns the parameters as a nested dict of float32 arrays on the host.
        step: training steps behind them; 0 where that is not known.
        execution: how the run computed it.
        element_tokenizer: of its knowledge encoder's word pieces, or None.
        parser: the spaCy pipeline for the texts that its knowledge encoder reads, or None where it
            has none or names no pipeline.
        described: whether the source says itself what it is; not so a file of weights alone.
    """

    origin: str
    shape: spec.DualEncoder
    tokenizer: TokenizerSettings | None
    read: Callable[[], Params]
    step: int = 0
    execution: Execution = AUTOMATIC
    element_tokenizer: TokenizerSettings | None = None
    parser: str | None = None
    described: bool = True


def open_trained(
    source: str | Path,
    *,
    step: int | None = None,
    averaged: bool = False,
    shape: spec.DualEncoder | None = None,
) -> Trained:
    """Find a trained model and read what it says of itself.

    Args:
        source: a run's workdir; a folder or hub id of a Hugging Face CLIP or SigLIP or of an
            open_clip model; a `.safetensors` or `.pt` file.
        step: of a run's checkpoint; the newest by default.
        averaged: take the moving average of a run's parameters.
        shape: the architecture, for a file of weights that has no config beside it; other sources
            may only confirm it.

    Raises:
        ConfigError: there is nothing at `source`, or its config is damaged.
        CheckpointError: a run has no such checkpoint.
        ConversionError: the weights do not fit their config, are of a kind that is not known, or
            the source is of another architecture than `shape`.
    """
    trained = _open(source, step, averaged, shape)
    if shape is not None:
        _check_same_shape(trained.origin, trained.shape, shape, "the given shape")
    return trained


def _open(
    source: str | Path, step: int | None, averaged: bool, shape: spec.DualEncoder | None
) -> Trained:
    """Open a source, which may contradict `shape`."""
    workdir = Workdir(Path(source))
    if workdir.holds_run():
        return _open_run(workdir, step, averaged)
    if step is not None or averaged:
        raise CheckpointError(f"{source} is no run: it has neither steps nor moving averages")
    pretrained = open_pretrained(source, shape=shape)
    tokenizer = _tokenizer_of(pretrained)
    return Trained(
        pretrained.origin,
        pretrained.shape,
        tokenizer,
        pretrained.params,
        element_tokenizer=pretrained.element_tokenizer,
        parser=pretrained.parser,
        described=pretrained.described,
    )


def _tokenizer_of(pretrained: Pretrained) -> TokenizerSettings | None:
    if pretrained.family == openai.FAMILY.name:
        return ClipBpe()
    return None if pretrained.folder is None else read_tokenizer(pretrained.folder)


def _open_run(workdir: Workdir, step: int | None, averaged: bool) -> Trained:
    experiment = config.experiment(workdir.read_config())
    settings, elements = own_tokenizers(experiment, workdir)
    steps = saved_steps(workdir.checkpoints)
    if not steps:
        raise CheckpointError(f"{workdir.checkpoints} has no checkpoint yet")
    checkpoints = Checkpoints(workdir.checkpoints, _describe(experiment.model, settings, elements))
    chosen = steps[-1] if step is None else step

    def read() -> Params:
        device = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
            abstract_params(Model(experiment.model), experiment.tuning),
        )
        params = checkpoints.restore_params(chosen, abstract, averaged=averaged)
        checkpoints.close()
        return jax.device_get(merge(params, experiment.tuning))

    return Trained(
        str(workdir.root),
        experiment.model,
        settings,
        read,
        chosen,
        experiment.execution,
        elements,
        None if experiment.model.knowledge is None else experiment.data.parser,
    )


def own_tokenizers(
    experiment: config.Experiment, workdir: Workdir
) -> tuple[TokenizerSettings, TokenizerSettings | None]:
    """Return a run's tokenizers of texts and of word pieces, with its own copies of their files."""
    elements = experiment.element_tokenizer
    return workdir.own_tokenizer(experiment.tokenizer), (
        None if elements is None else workdir.own_tokenizer(elements, "element_tokenizer")
    )


def _describe(
    shape: spec.DualEncoder, text: TokenizerSettings, elements: TokenizerSettings | None
) -> Description:
    """What the checkpoints of a run say."""
    tokenizer = make_tokenizer(text, shape.text.context_length)
    if elements is None or shape.knowledge is None:
        return describe(shape, tokenizer.fingerprint)
    pieces = make_tokenizer(elements, shape.knowledge.element_length)
    return describe(shape, tokenizer.fingerprint, pieces.fingerprint)


class StartingPoint(NamedTuple):
    """A trained model that a training run can start from.

    Attributes:
        has_knowledge: whether its parameters are those of a knowledge encoder, too.
        read: returns them as `Trained.read` does.
    """

    has_knowledge: bool
    read: Callable[[], Params]


def starting_point(
    source: str | Path,
    shape: spec.DualEncoder,
    tokenizer: Tokenizer,
    element_tokenizer: TokenizerSettings | None = None,
    *,
    resize: bool = False,
    fresh_knowledge: bool = False,
) -> StartingPoint:
    """Check that a training run can start from a trained model.

    Args:
        source: see `open_trained`.
        shape: the architecture that the run trains.
        tokenizer: the run's.
        element_tokenizer: of the word pieces that its knowledge encoder reads, if it reads them.
        resize: adapt the position table to another image size.
        fresh_knowledge: take the towers of a source that has no knowledge encoder.

    Raises:
        ConversionError: the source is another architecture, the message has a line for each
            difference; or it was trained with another tokenizer, or does not say with which.
    """
    trained = _open(source, None, False, shape)
    found = resized(trained.shape, shape) if resize else trained.shape
    wanted = shape
    if fresh_knowledge and found.knowledge is None:
        wanted = replace(shape, knowledge=None)
    _check_same_shape(trained.origin, found, wanted, "config.model")
    _check_same_tokenizer(trained, tokenizer)
    if wanted.knowledge is not None and element_tokenizer is not None:
        _check_same_pieces(trained, element_tokenizer, wanted.knowledge.element_length)

    def read() -> Params:
        params = trained.read()
        return resize_positions(params, trained.shape, wanted) if resize else params

    return StartingPoint(wanted.knowledge is not None, read)


def settings_of(source: str) -> dict[str, Any]:
    """Return the settings of an experiment that starts from a trained model, all as it has them.

    Of "data" that is at most the parser, which a knowledge encoder was trained with: a config adds
    its own settings to these.

    Raises:
        ConfigError: it has no tokenizer.
        ConversionError: see `open_trained`.
    """
    trained = open_trained(source)
    if trained.tokenizer is None:
        raise ConfigError(f"{source} has no tokenizer; put its tokenizer files beside its weights")
    settings: dict[str, Any] = {
        "init_from": source,
        "model": schema.to_dict(trained.shape),
        "tokenizer": schema.to_dict(trained.tokenizer),
        "data": {} if trained.parser is None else {"parser": trained.parser},
    }
    if trained.element_tokenizer is not None:
        settings["element_tokenizer"] = schema.to_dict(trained.element_tokenizer)
    return settings


def _check_same_shape(
    origin: str, found: spec.DualEncoder, wanted: spec.DualEncoder, name: str
) -> None:
    if lines := differences(found, wanted):
        raise ConversionError(
            f"{origin} is another model than {name} (its own -> {name}):\n"
            + "\n".join(lines)
            + "\nin a config, set config.model.KEY to the source's own value, or use "
            f"--config=configs/finetune.py:{origin}; in Python, leave out `shape`"
        )


def _check_same_tokenizer(trained: Trained, tokenizer: Tokenizer) -> None:
    if trained.tokenizer is None:
        if not trained.described:  # who says what the text tower is, says what it reads
            return
        raise ConversionError(
            f"{trained.origin} has no tokenizer files, so its text tower may know other ids than "
            "those of config.tokenizer; put the tokenizer.json that it was trained with there, or "
            "CLIP's vocab.json and merges.txt"
        )
    own = make_tokenizer(trained.tokenizer, tokenizer.context_length)
    if own.fingerprint != tokenizer.fingerprint:
        raise ConversionError(
            f"{trained.origin} was trained with another tokenizer than config.tokenizer; set "
            f"config.tokenizer to {schema.to_dict(trained.tokenizer)}"
        )


def _check_same_pieces(trained: Trained, wanted: TokenizerSettings, length: int) -> None:
    """The same for the word pieces of a knowledge encoder."""
    own = trained.element_tokenizer
    if own is None:
        raise ConversionError(
            f"{trained.origin} does not say which word pieces its knowledge encoder reads"
        )
    if make_tokenizer(own, length).fingerprint != make_tokenizer(wanted, length).fingerprint:
        raise ConversionError(
            f"the knowledge encoder of {trained.origin} was trained with other word pieces than "
            f"config.element_tokenizer; set that to {schema.to_dict(own)}"
        )


def resized(source: spec.DualEncoder, wanted: spec.DualEncoder) -> spec.DualEncoder:
    """The source's architecture at the wanted image size."""
    return replace(source, vision=replace(source.vision, image_size=wanted.vision.image_size))
