"""Numbers as TensorBoard events."""

import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from kgclip_jax.files import writing
from kgclip_jax.writers.writer import Numbers


class TensorBoard:
    """TensorBoard events; those after `start` of an interrupted run are hidden.

    They are written at once, because tensorboardX's own `SummaryWriter` writes in a thread, which
    dies of a full disk and leaves the run waiting for it. Raises UserError when the disk refuses.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self._path = folder / "events"
        with writing(self._path):
            self._writer = EventsWriter(str(self._path))
        opening = SessionLog(status=SessionLog.START)
        self._add(Event(step=start + 1, session_log=opening))

    def write(self, step: int, numbers: Numbers) -> None:
        """Add one scalar a number."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()]
        self._add(Event(step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        with writing(self._path):
            self._writer.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        with writing(self._path):
            self._writer.write_event(event)
            self._writer.flush()
