"""A trained model from a run: the description in a checkpoint says all there is to know of it."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import jax

from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import CheckpointError
from kgclip_jax.models import spec
from kgclip_jax.models.adapters import abstract_adapters, merge_adapters
from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.models.heads import heads_from, init_head
from kgclip_jax.models.transformer import Execution
from kgclip_jax.store.checkpoints import Checkpoints, saved_steps
from kgclip_jax.store.description import ITEMS, Description, fingerprints, read_description
from kgclip_jax.store.workdir import Workdir

AVERAGE = "average"
AUTOMATIC = Execution()


@dataclass(frozen=True)
class Trained:
    """A trained model whose parameters have not been read yet.

    Attributes:
        origin: where it comes from, for messages.
        shape: its architecture and preprocessing.
        tokenizers: its tokenizers, or None where the source has none for texts.
        read: returns the parameters as a nested dict of float32 arrays on the host; as often as one
            likes.
        step: training steps behind them; 0 where that is not known.
        execution: how the run computed it.
        parser: the spaCy pipeline for the texts that its knowledge encoder reads, or None where it
            has none or names no pipeline.
        described: whether the source says itself what it is; not so a file of weights alone.
        heads: the settings of what was trained beside it, by name, as plain values.
        read_heads: returns the parameters of these, like `read`.
    """

    origin: str
    shape: spec.DualEncoder
    tokenizers: Tokenizers | None
    read: Callable[[], Params]
    step: int = 0
    execution: Execution = AUTOMATIC
    parser: str | None = None
    described: bool = True
    heads: Mapping[str, Any] = field(default_factory=dict)
    read_heads: Callable[[], Params] = dict


def open_run(workdir: Workdir, step: int | None = None, averaged: bool = False) -> Trained:
    """Open a checkpoint of a run, wherever its folder was moved; its config is not read.

    Args:
        workdir: of the run.
        step: of the checkpoint; the newest by default.
        averaged: take the moving average of the parameters.

    Raises:
        CheckpointError: there is no such checkpoint or average, it is of another version, or the
            run's tokenizer files are others than those that it was trained with.
        DataError: they are gone.
    """
    steps = saved_steps(workdir.checkpoints)
    if not steps:
        raise CheckpointError(f"{workdir.checkpoints} has no checkpoint yet")
    chosen = steps[-1] if step is None else step
    with closing(Checkpoints(workdir.checkpoints)) as checkpoints:
        saved = checkpoints.description(chosen)
    if averaged and AVERAGE not in saved[ITEMS]:
        raise CheckpointError(
            f"the run of {workdir.root} keeps no moving average; it would with "
            "config.optimizer.ema_decay"
        )
    described = read_description(saved, str(workdir.checkpoints / str(chosen)))
    tokenizers = workdir.own_tokenizers(described.tokenizers)
    if fingerprints(described.model, tokenizers) != described.fingerprints:
        raise CheckpointError(f"{workdir.root} has other tokenizers than it was trained with")

    def read() -> Params:
        with closing(Checkpoints(workdir.checkpoints)) as checkpoints:
            return _read_params(checkpoints, chosen, described, averaged)

    def read_heads() -> Params:
        with closing(Checkpoints(workdir.checkpoints)) as checkpoints:
            return _read_heads(checkpoints, chosen, described, averaged)

    return Trained(
        origin=str(workdir.root),
        shape=described.model,
        tokenizers=tokenizers,
        read=read,
        step=chosen,
        execution=described.execution,
        parser=described.parser,
        heads=described.heads,
        read_heads=read_heads,
    )


def _read_params(
    checkpoints: Checkpoints, step: int, described: Description, averaged: bool
) -> Params:
    """Read the parameters of a model, its adapters merged."""
    model = Model(described.model)
    abstract = {
        "model": model.abstract(),
        "adapters": abstract_adapters(model, described.adapters),
    }
    params, factors = (
        _read_part(checkpoints, step, part, tree, averaged) for part, tree in abstract.items()
    )
    return jax.device_get(merge_adapters(params, factors, described.adapters))


def _read_heads(
    checkpoints: Checkpoints, step: int, described: Description, averaged: bool
) -> Params:
    heads = heads_from(described.heads)
    abstract = jax.eval_shape(
        lambda: {name: init_head(head, name, described.model, 0) for name, head in heads.items()}
    )
    return _read_part(checkpoints, step, "heads", abstract, averaged)


def _read_part(
    checkpoints: Checkpoints, step: int, part: str, abstract: Params, averaged: bool
) -> Params:
    if averaged:
        return checkpoints.restore_on_host(step, AVERAGE, abstract, subtree=part)
    return checkpoints.restore_on_host(step, part, abstract)
