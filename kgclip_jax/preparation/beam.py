"""Parts written by Apache Beam, on whatever it runs on: this machine, Flink, Spark, Dataflow."""

from collections.abc import Callable, Generator, Sequence
from functools import cached_property
from typing import Any

from kgclip_jax.data.records import Records
from kgclip_jax.errors import ConfigError, DataError, UserError
from kgclip_jax.preparation.parts import P, PartWriter, R


class _Write:
    """Writes one part; travels to the workers without the records, which each opens itself."""

    def __init__(self, writer: PartWriter[P, R], open_records: Callable[[], Records]) -> None:
        self._kind = type(writer)
        self._plan, self._output = writer.plan, writer.output.absolute()
        self._open_records = open_records

    def __call__(self, number: int) -> int:
        self._writer.write(number)
        return number

    @cached_property
    def _writer(self) -> PartWriter[Any, Any]:
        return self._kind(self._open_records(), self._plan, self._output)


def write_on_beam(
    writer: PartWriter[P, R],
    numbers: Sequence[int],
    advance: Callable[[int], None],
    *,
    open_records: Callable[[], Records],
    options: Sequence[str] = (),
) -> Generator[R, None, None]:
    """Write parts by a Beam pipeline; yield their reports when it has ended.

    The writer's folder is on a file system that all workers share; `open_records`, which pickles,
    opens its records anywhere. `options` are Beam's own, as on a command line.

    Raises:
        UserError: Beam is not installed, or the disk refuses.
        ConfigError: Beam refuses an option.
        DataError: the pipeline has ended, and left a part unwritten.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError(
            "Apache Beam is not installed; pip install -r requirements-beam.txt"
        ) from error
    try:
        pipeline = beam.Pipeline(options=PipelineOptions(list(options)))
    except ValueError as error:
        raise ConfigError(f"Apache Beam: {error}") from error
    try:
        with pipeline:
            write = beam.Map(_Write(writer, open_records))
            _ = pipeline | beam.Create(list(numbers)) | beam.Reshuffle() | "WritePart" >> write
    except RuntimeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # a worker in this very thread
            raise KeyboardInterrupt from error
        raise
    for number in numbers:
        report = writer.report(number)
        if report is None:
            raise DataError(
                f"{writer.output / writer.plan.file(number)} was written by no worker, or where "
                "this machine does not see it; --output must be on a file system that all share"
            )
        advance(len(writer.plan.range(number)))
        yield report
