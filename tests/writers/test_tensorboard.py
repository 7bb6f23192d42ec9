"""Numbers as TensorBoard events, read back as the records that they are."""

import struct

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from kgclip_jax.errors import UserError
from kgclip_jax.writers.tensorboard import TensorBoard


def read_events(path):
    """Parse TensorFlow records: length, its checksum, the event, its checksum."""
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack_from("<Q", data)
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]


def test_tensorboard_shows_each_number_at_its_step_and_hides_steps_taken_again(tmp_path):
    writer = TensorBoard(tmp_path, start=4)
    writer.write(5, {"loss": 0.5, "input_wait": 0.25})
    (path,) = tmp_path.glob("events.out.tfevents.*")
    version, opening, scalars = read_events(path)  # on disk before the file is closed
    writer.close()
    assert version.file_version == "brain.Event:2"
    assert (opening.step, opening.session_log.status) == (5, SessionLog.START)
    assert scalars.step == 5
    assert scalars.wall_time > 1.7e9
    values = {value.tag: value.simple_value for value in scalars.summary.value}
    assert values == {"loss": 0.5, "input_wait": 0.25}


def test_tensorboard_on_a_full_disk_is_an_error_and_not_a_hang(tmp_path, monkeypatch):
    writer = TensorBoard(tmp_path, start=0)

    def refuse(event):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer._writer, "write_event", refuse)
    for _ in range(30):  # more than any queue holds
        with pytest.raises(UserError, match="events: No space left on device"):
            writer.write(1, {"loss": 0.5})
    writer.close()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*gone/events: No such file"):
        TensorBoard(tmp_path / "gone", 0)
