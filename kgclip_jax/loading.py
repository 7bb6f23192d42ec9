"""From a string to a trained model: a run of this library, or weights that others publish."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from kgclip_jax import schema
from kgclip_jax.convert.bert import open_bert
from kgclip_jax.convert.family import differences
from kgclip_jax.convert.hub import with_commit
from kgclip_jax.convert.positions import resize_positions
from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import CheckpointError, ConfigError, ConversionError
from kgclip_jax.files import expanded
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.store.description import fingerprints
from kgclip_jax.store.trained import Trained, open_run
from kgclip_jax.store.workdir import Workdir


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
            open_clip model; a `.safetensors` or `.pt` file. "~" is the home folder.
        step: of a run's checkpoint; the newest by default.
        averaged: take the moving average of a run's parameters.
        shape: the architecture, for a file of weights that has no config beside it; other sources
            may only confirm it.

    Raises:
        ConfigError: the config of a run is damaged.
        CheckpointError: a run has no such checkpoint, or one that does not fit its tokenizers.
        ConversionError: there is nothing at `source`, it is of a kind that is not known, or of
            another architecture than `shape`.
    """
    trained = _open(source, shape, step, averaged)
    if shape is not None:
        _check_same_shape(trained.origin, trained.shape, shape, "the given shape")
    return trained


def _open(
    source: str | Path,
    shape: spec.DualEncoder | None,
    step: int | None = None,
    averaged: bool = False,
) -> Trained:
    """Open a source, which may contradict `shape`; all of its numbers will be finite."""
    workdir = Workdir(Path(expanded(str(source))))
    if workdir.holds_run():
        trained = open_run(workdir, step, averaged)
    elif step is not None or averaged:
        raise CheckpointError(f"{source} is no run, and only runs have steps and moving averages")
    else:
        trained = open_pretrained(source, shape=shape)
    return replace(trained, read=lambda: _finite(trained.read(), trained.origin))


def _finite(params: Params, origin: str) -> Params:
    """Return parameters on the host; raises CheckpointError unless all of them are finite."""
    leaves = leaves_by_path(params).items()
    broken = [path for path, leaf in leaves if not np.isfinite(leaf).all()]
    if broken:
        more = f" and {len(broken) - 1} others" if len(broken) > 1 else ""
        raise CheckpointError(
            f"{origin}: {broken[0]}{more} have numbers that are infinite or NaN; such a model "
            "is of no use"
        )
    return params


def starting_point(
    source: str | Path,
    shape: spec.DualEncoder,
    tokenizers: Tokenizers,
    *,
    resize: bool = False,
    fresh_knowledge: bool = False,
) -> Trained:
    """Open a trained model as one of another's architecture, which can go on from it.

    Args:
        source: see `open_trained`.
        shape: the architecture.
        tokenizers: that go with it.
        resize: adapt the position table to another image size.
        fresh_knowledge: take the towers of a source that has no knowledge encoder.

    Returns:
        A model of `shape`, without the knowledge encoder where the source has none.

    Raises:
        ConversionError: the source is another architecture, the message has a line for each
            difference; or it was trained with another tokenizer, or does not say with which.
    """
    trained = _open(source, shape)
    found, wanted = trained.shape, shape
    if resize:
        found = replace(found, vision=replace(found.vision, image_size=shape.vision.image_size))
    if fresh_knowledge and found.knowledge is None:
        wanted = replace(shape, knowledge=None)
    _check_same_shape(trained.origin, found, wanted, "config.model")
    _check_same_tokenizers(trained, wanted, tokenizers)

    def read() -> Params:
        return resize_positions(trained.read(), trained.shape, wanted)

    return replace(trained, shape=wanted, read=read)


class Start(NamedTuple):
    """Parameters that a run begins with.

    Attributes:
        origins: what comes from where, line by line.
        init_from: the trained model among them, one of the hub with its commit.
        read: returns the parameters of the run's model, as arrays on the host.
    """

    origins: tuple[str, ...]
    init_from: str | None
    read: Callable[[], Params]


def find_start(
    shape: spec.DualEncoder,
    tokenizers: Tokenizers,
    *,
    seed: int,
    init_from: str | None = None,
    knowledge_init_from: str | None = None,
    resize: bool = False,
) -> Start | None:
    """Find what a run starts from; None where all parameters are random.

    A source without a knowledge encoder gives its towers alone. The encoder then starts from a
    BERT, but for its projection, or afresh, as the run's seed has it.

    Args:
        shape: the architecture that the run trains.
        tokenizers: of the run.
        seed: of what comes from no source.
        init_from: a trained model, see `open_trained`.
        knowledge_init_from: the folder of a BERT; for word pieces only.
        resize: adapt the position table of `init_from` to the image size of the run.

    Raises:
        ConfigError: a source has the knowledge encoder that another source is named for.
        ConversionError: a source is not there or does not fit the run, see `starting_point` and
            `open_bert`.
    """
    towers, bert = None, None
    if init_from is not None:
        towers = starting_point(init_from, shape, tokenizers, resize=resize, fresh_knowledge=True)
    if knowledge_init_from is not None and tokenizers.elements is not None:
        bert = open_bert(knowledge_init_from, shape, tokenizers.elements)
    if towers is None and bert is None:
        return None
    known = towers is not None and towers.shape.knowledge is not None
    if known and bert is not None:
        raise ConfigError(
            f"config.init_from {init_from} has a knowledge encoder already; leave out "
            "config.knowledge_init_from"
        )
    source = None if towers is None else with_commit(str(init_from), towers.origin)
    origins = [] if source is None else [f"starting from {source}"]
    if shape.knowledge is not None and not known:
        encoder = "fresh" if bert is None else f"from {knowledge_init_from}"
        origins.append(f"knowledge encoder: {encoder}")

    def read() -> Params:
        params = {} if towers is None else towers.read()
        params |= _fresh(Model(shape), seed, params)
        if bert is None:
            return params
        known = _finite(bert(), str(knowledge_init_from))
        return params | {"knowledge": params["knowledge"] | known}

    return Start(tuple(origins), source, read)


def _fresh(model: Model, seed: int, known: Params) -> Params:
    """Initialise those parts of a model that are not known; the others cost nothing."""
    parts = model.abstract().keys() - known.keys()
    initialise = jax.jit(lambda: {part: model.initialise(seed)[part] for part in sorted(parts)})
    return jax.device_get(initialise()) if parts else {}


def settings_of(source: str) -> dict[str, Any]:
    """Return the settings of an experiment that starts from a trained model, all as it has them.

    Of "data" that is at most the parser, which a knowledge encoder was trained with: a config adds
    its own settings to these.

    Raises:
        ConfigError: it has no tokenizer.
        ConversionError: see `open_trained`.
    """
    trained = open_trained(source)
    if trained.tokenizers is None:
        raise ConfigError(f"{source} has no tokenizer; put its tokenizer files beside its weights")
    settings: dict[str, Any] = {
        "init_from": source,
        "model": schema.to_dict(trained.shape),
        "tokenizer": schema.to_dict(trained.tokenizers.text),
        "data": {} if trained.parser is None else {"parser": trained.parser},
    }
    if trained.tokenizers.elements is not None:
        settings["element_tokenizer"] = schema.to_dict(trained.tokenizers.elements)
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


def _check_same_tokenizers(
    trained: Trained, shape: spec.DualEncoder, tokenizers: Tokenizers
) -> None:
    if trained.tokenizers is None:
        if not trained.described:  # who says what the text tower is, says what it reads
            return
        raise ConversionError(
            f"{trained.origin} has no tokenizer files, so its text tower may know other ids than "
            "those of config.tokenizer; put the tokenizer.json that it was trained with there, or "
            "CLIP's vocab.json and merges.txt"
        )
    own, wanted = (fingerprints(shape, each) for each in (trained.tokenizers, tokenizers))
    if own["text"] != wanted["text"]:
        raise ConversionError(
            f"{trained.origin} was trained with another tokenizer than config.tokenizer; set "
            f"config.tokenizer to {schema.to_dict(trained.tokenizers.text)}"
        )
    if own != wanted:
        raise ConversionError(
            f"the knowledge encoder of {trained.origin} was trained with other word pieces than "
            f"config.element_tokenizer; set that to {schema.to_dict(trained.tokenizers.elements)}"
        )
