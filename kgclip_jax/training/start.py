"""Where the parameters of a fresh run come from, if not all of them from chance."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import jax

from kgclip_jax import config
from kgclip_jax.convert.bert import open_bert
from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import StartingPoint, starting_point
from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.types import Tokenizer


class Start(NamedTuple):
    """The beginning of a run that has one.

    Attributes:
        origins: what comes from where, line by line.
        read: returns the parameters of the run's model, as arrays on the host.
    """

    origins: tuple[str, ...]
    read: Callable[[Model], Params]


def find_start(experiment: config.Experiment, tokenizer: Tokenizer) -> Start | None:
    """Find what a run starts from; None where all parameters are random.

    A source without a knowledge encoder gives its towers alone. The encoder then starts from a
    BERT, but for its projection, or afresh, as the run's seed has it.

    Raises:
        ConfigError: there is no such source, or it has the knowledge encoder that another source is
            named for.
        ConversionError: a source does not fit the run, see `starting_point` and `open_bert`.
    """
    source = _source(experiment, tokenizer)
    bert = _bert(experiment)
    if source is None and bert is None:
        return None
    if source is not None and source.has_knowledge and bert is not None:
        raise ConfigError(
            f"config.init_from {experiment.init_from} has a knowledge encoder already; leave "
            "out config.knowledge_init_from"
        )

    def read(model: Model) -> Params:
        params = {} if source is None else source.read()
        parts = {*model.abstract()}
        absent = parts if source is None else (parts & {"knowledge"}) - params.keys()
        params |= _fresh(model, experiment.seed, absent)
        return params if bert is None else params | {"knowledge": params["knowledge"] | bert()}

    return Start(_origins(experiment, source), read)


def _source(experiment: config.Experiment, tokenizer: Tokenizer) -> StartingPoint | None:
    if experiment.init_from is None:
        return None
    return starting_point(
        experiment.init_from,
        experiment.model,
        tokenizer,
        experiment.element_tokenizer,
        resize=experiment.resize_positions,
        fresh_knowledge=True,
    )


def _bert(experiment: config.Experiment) -> Callable[[], Params] | None:
    folder, pieces = experiment.knowledge_init_from, experiment.element_tokenizer
    if folder is None or pieces is None:  # the config has neither or both
        return None
    return open_bert(folder, experiment.model, pieces)


def _origins(experiment: config.Experiment, source: StartingPoint | None) -> tuple[str, ...]:
    towers = [] if source is None else [f"starting from {experiment.init_from}"]
    if experiment.model.knowledge is None or (source is not None and source.has_knowledge):
        return tuple(towers)
    bert = experiment.knowledge_init_from
    return (*towers, f"knowledge encoder: {'fresh' if bert is None else f'from {bert}'}")


def _fresh(model: Model, seed: int, parts: Collection[str]) -> Params:
    """Initialise parts of a model ("knowledge") on the host; the others cost nothing."""
    if not parts:
        return {}
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        initialise = jax.jit(lambda: {part: model.initialise(seed)[part] for part in parts})
        return jax.device_get(initialise())
