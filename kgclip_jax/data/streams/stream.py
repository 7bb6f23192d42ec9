"""What a stream is, and the kinds that there are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from kgclip_jax.cache import NO_CACHE, Cache
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.schema import Registry

_ROOM = "kgclip_jax.data.streams"
STREAMS = Registry(
    "stream",
    {
        "captions": f"{_ROOM}.captions_config:CaptionsConfig",
        "edges": f"{_ROOM}.edges:EdgesConfig",
        "labelled": f"{_ROOM}.labelled_stream:LabelledConfig",
        "neighbourhoods": f"{_ROOM}.neighbourhoods_config:NeighbourhoodsConfig",
        "texts": f"{_ROOM}.text_stream:TextsConfig",
        "triplets": f"{_ROOM}.triplets_config:TripletsConfig",
    },
)

# What became of the rows of a step: ("text", "cut"), ("bad record", its reason, its name), ...
# What is third is an example, which counts of more than one step do without.
Counts = Counter[tuple[str, ...]]
BAD_RECORD = "bad record"


class Rows(NamedTuple):
    """Some rows of a stream, and what became of their records.

    Attributes:
        blocks: the stream's pytree, NumPy arrays with these rows in front.
        counts: what is worth telling, over these rows.
    """

    blocks: Any
    counts: Counts


@runtime_checkable
class StreamShape(Protocol):
    """What a step is compiled from: the shapes of a stream's rows, whatever is in them.

    Attributes:
        name: that of its entry in the config.
        rows: of a step over all hosts, in the block that the stream is about.
        unit: rows that are made together; it divides `rows`.
        refusals: what to say when no objective reads an input that costs much to make, by path.
        notes: lines about the data, which a run prints at its start.
    """

    name: str
    rows: int
    unit: int
    refusals: Mapping[str, str]
    notes: Sequence[str]

    def constants(self) -> Any:
        """Return the arrays that all rows share."""
        ...

    def abstract(self) -> Any:
        """Return the pytree of a whole step, see `blocks.abstract_array`."""
        ...


@runtime_checkable
class Stream(StreamShape, Protocol):
    """Rows by random access: a function of (seed, stream, step, row) alone. It pickles cheaply."""

    def load(self, step: int, units: Sequence[int]) -> Rows:
        """Make some units of rows of a step; others cost nothing."""
        ...

    def fingerprint(self) -> str:
        """Return a hash of what the rows are made of; it does not depend on where that lies."""
        ...

    def resolved(self) -> Mapping[str, Any]:
        """Return, as JSON, what was found out about the data and has to stay as it is in a run."""
        ...


@runtime_checkable
class StreamConfig(Protocol):
    """A frozen dataclass that is a stream's entry in a config."""

    @property
    def kind(self) -> str:
        """Its name in `STREAMS`."""
        ...

    def check(self, *, reads_graphs: bool) -> None:
        """Raise ValueError where a model that does (not) read scene graphs cannot be trained."""
        ...

    def open(self, name: str, opening: "StreamOpening") -> Stream:
        """Open the sources. Raises UserError when they are missing or malformed."""
        ...


@dataclass(frozen=True)
class StreamOpening:
    """What streams are opened with, besides their own settings.

    Attributes:
        data: where files lie, and how bad they may be.
        preprocessing: how the model reads pictures and texts.
        seed: of the run.
        parts: devices times microbatches: equal shares that the rows must divide into.
        hosts: that load their own rows each.
        resolved: what the run found out about this stream at its start, see `Stream.resolved`;
            None for a fresh run.
        cache: keeps what takes a pass over all of the data.
    """

    data: Data
    preprocessing: Preprocessing
    seed: int = 0
    parts: int = 1
    hosts: int = 1
    resolved: Mapping[str, Any] | None = None
    cache: Cache = NO_CACHE
