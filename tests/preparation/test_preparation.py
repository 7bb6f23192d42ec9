"""Whole preparations: engines agree, work goes on where it stopped, and mistakes are refused."""

import io
import shutil
import socket
from functools import partial

import pytest
from rich.console import Console

from kgclip_jax.data.images import Box
from kgclip_jax.data.readers.array_records import ArrayRecords
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.data.readers.shard_manifest import read_manifest
from kgclip_jax.data.records import Record
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.preparation.beam import write_on_beam
from kgclip_jax.preparation.local import write_locally
from kgclip_jax.preparation.parts import default_parts, make_plan
from kgclip_jax.preparation.shards import (
    ShardPlan,
    ShardWriter,
    describe_shards,
    store_shards,
    verify_shards,
)

PLAN = {"short_side": 16, "quality": 90, "shards": 4}
SOURCE = {"kind": "photographs", "folder": "album"}


class Serial:
    """An engine that writes one shard after the other, and remembers which."""

    def __init__(self, writer, stop_after=None):
        self._writer = writer
        self._stop_after = stop_after
        self.written = []

    def __call__(self, numbers, advance):
        for number in numbers:
            if len(self.written) == self._stop_after:
                raise KeyboardInterrupt
            yield self._writer.write(number)
            advance(len(self._writer.plan.range(number)))
            self.written.append(number)


def run(records, output, *, source=SOURCE, bad_share=0.0, stop_after=None, **changes):
    """Prepare; returns (manifest, numbers of the shards that were written, what was printed)."""
    plan, console = (
        make_plan(ShardPlan, records, source, **PLAN | changes),
        Console(file=io.StringIO()),
    )
    writer = ShardWriter(records, plan, output)
    engine = Serial(writer, stop_after)
    manifest = store_shards(writer, engine, bad_share=bad_share, console=console)
    return manifest, engine.written, console.file.getvalue()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def prepared(make_album, tmp_path):
    output = tmp_path / "new" / "shards"
    return output, *run(make_album(), output)


def test_what_was_prepared_can_be_read_as_records(prepared, make_album):
    output, manifest, written, _ = prepared
    records, album = ArrayRecords(output), make_album()
    assert written == [0, 1, 2, 3]
    assert len(records) == manifest.records == len(album)
    assert [records.record(i) for i in range(10)] == [album.record(i) for i in range(10)]


def test_the_manifest_tells_settings_counts_and_sizes(prepared):
    output, manifest, _, _ = prepared
    assert read_manifest(output) == manifest
    assert manifest.settings["source"] == SOURCE
    assert manifest.settings["short_side"] == 16
    assert [shard.records for shard in manifest.shards] == [2, 3, 2, 3]
    sizes = [(output / shard.file).stat().st_size for shard in manifest.shards]
    assert [shard.bytes for shard in manifest.shards] == sizes
    assert manifest.bytes == sum(sizes)
    assert manifest.skipped == {}
    assert describe_shards(output, manifest).endswith("10 pictures in 4 shards, 0.5 MB")


def test_a_data_set_gets_a_shard_a_thousand_records_up_to_1024(prepared, make_album):
    records = (1, 1000, 1001, 6000, 1_024_000, 1_024_001)
    assert [default_parts(number) for number in records] == [1, 1, 2, 6, 1024, 1024]
    assert make_plan(ShardPlan, make_album(), SOURCE, short_side=1, quality=1).shards == 1


def test_after_a_stop_only_what_is_missing_is_written(prepared, make_album, tmp_path):
    output = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run(make_album(), output, stop_after=3)
    assert not (output / "manifest.json").exists()
    owner = f"{socket.gethostname()}-99999999-0123abcd-0"
    for name in ("shard-00003-of-00004.arrayrecord", "reports/shard-00003.json"):
        path = output / name
        path.with_name(f".{path.name}.{owner}.partial").write_bytes(b"as if killed")
    (output / "reports" / "shard-00001.json").unlink()  # as if killed between the two
    _, written, printed = run(make_album(), output)
    assert written == [1, 3]
    assert "continuing after 4 of 10 pictures" in printed
    assert contents(output) == contents(prepared[0])


def test_what_a_worker_of_a_killed_run_leaves_later_goes_too(prepared, make_album, tmp_path):
    output = tmp_path / "again"
    plan = make_plan(ShardPlan, make_album(), SOURCE, **PLAN)
    writer = ShardWriter(make_album(), plan, output)
    left = output / f".shard-00003-of-00004.arrayrecord.{socket.gethostname()}-99999999-0123abcd-0"

    def engine(numbers, advance):
        left.with_name(f"{left.name}.partial").write_bytes(b"as if killed")
        yield from Serial(writer)(numbers, advance)

    store_shards(writer, engine, bad_share=0.0, console=Console(quiet=True))
    assert contents(output) == contents(prepared[0])


def test_a_finished_folder_is_left_alone(prepared, make_album):
    output, manifest, _, _ = prepared
    before = {path: path.stat().st_mtime_ns for path in output.glob("*.*")}
    assert run(make_album(), output)[:2] == (manifest, [])
    assert {path: path.stat().st_mtime_ns for path in output.glob("*.*")} == before


def test_a_lost_shard_is_written_again(prepared, make_album):
    output, manifest, _, _ = prepared
    (output / manifest.shards[2].file).unlink()
    with pytest.raises(KeyboardInterrupt):
        run(make_album(), output, stop_after=0)
    assert not (output / "manifest.json").exists()
    assert run(make_album(), output)[:2] == (manifest, [2])
    verify_shards(output)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"short_side": 17}, "short_side: 16 -> 17"),
        ({"quality": 91, "shards": 5}, "quality: 90 -> 91; shards: 4 -> 5"),
        ({"source": SOURCE | {"folder": "x"}}, "source.folder: 'album' -> 'x'"),
    ],
)
def test_changed_settings_are_refused_by_name(prepared, make_album, finished, change, message):
    output, *_ = prepared
    if not finished:
        (output / "manifest.json").unlink()
        (output / "reports" / "shard-00000.json").unlink()
    before = contents(output)
    with pytest.raises(ConfigError, match=rf"begun otherwise \({message}\)"):
        run(make_album(), output, **change)
    assert contents(output) == before


def test_a_source_of_other_records_is_refused(prepared, make_album):
    key, captions, _ = make_album().record(3)
    for record in (
        Record(key, captions[:1]),
        Record("3", captions),
        Record(key, captions, Box(0, 0, 9, 9)),
        None,
    ):
        album = make_album(10, {3: (record, make_album().encoded(3))})
        with pytest.raises(ConfigError, match=r"\(source: keys, captions or boxes"):
            run(album, prepared[0])


def test_a_folder_of_other_things_is_refused(make_album, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="holds other files"):
        run(make_album(), tmp_path)
    assert contents(tmp_path) == {"letter.txt": b"dear"}


def test_more_shards_than_records_are_refused(make_album, tmp_path):
    with pytest.raises(ConfigError, match="shards must be within 1 and 10"):
        run(make_album(), tmp_path, shards=11)


class TestBadPictures:
    @pytest.fixture
    def album(self, make_album):
        record = make_album().record
        bad = {i: (record(i), None) for i in (1, 2, 8)}
        return make_album(10, bad, skipped={"empty caption": 4, "unreadable image": 1})

    def test_are_counted_beside_those_of_the_source(self, album, tmp_path):
        manifest, *_ = run(album, tmp_path, bad_share=0.3)
        assert manifest.records == 7
        assert manifest.skipped == {"empty caption": 4, "unreadable image": 4}
        assert "left out: 4 x empty caption, 4 x unreadable image" in describe_shards(
            tmp_path, manifest
        )
        assert [record.key for record in map(ArrayRecords(tmp_path).record, range(7))] == [
            f"{i}.jpg" for i in (0, 3, 4, 5, 6, 7, 9)
        ]

    def test_end_the_work_when_they_are_too_many_and_nothing_is_lost(self, album, tmp_path):
        with pytest.raises(DataError, match=r"2 of 10, above the share of 0.1 .*: 1.jpg \(file is"):
            run(album, tmp_path, bad_share=0.1)
        assert not (tmp_path / "manifest.json").exists()
        with pytest.raises(DataError, match="2 of 10"):  # at once, from the reports
            run(album, tmp_path, bad_share=0.1)
        assert run(album, tmp_path, bad_share=0.3)[1] == [2, 3]


class TestVerify:
    def test_accepts_what_was_prepared(self, prepared):
        assert verify_shards(prepared[0]) == prepared[1]

    def test_names_all_that_is_damaged(self, prepared):
        output, manifest, _, _ = prepared
        flipped, lost, _, cut = [output / shard.file for shard in manifest.shards]
        content = bytearray(flipped.read_bytes())
        content[1000] ^= 1
        flipped.write_bytes(content)
        lost.unlink()
        cut.write_bytes(cut.read_bytes()[:-9])
        with pytest.raises(DataError) as error:
            verify_shards(output)
        assert f"{flipped.name} has another hash; {lost.name} is missing; {cut.name} has" in str(
            error.value
        )

    def test_wants_a_manifest(self, prepared):
        (prepared[0] / "manifest.json").unlink()
        with pytest.raises(DataError, match=r"manifest.json: not found"):
            verify_shards(prepared[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_album):
    """An album on disk, one of whose twelve pictures is torn."""
    folder, album = tmp_path_factory.mktemp("album"), make_album(12)
    lines = ["image,caption", *(f"{i}.jpg,picture {i}" for i in range(12))]
    (folder / "captions.txt").write_text("\n".join(lines))
    for index in range(12):
        (folder / f"{index}.jpg").write_bytes(album.encoded(index))
    (folder / "5.jpg").write_bytes(b"\xff\xd8 torn")
    return folder


@pytest.fixture(scope="module")
def serial(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("serial")
    run(open_folder(folder), output, bad_share=0.1)
    return output


def check_engine(folder, output, serial, engine):
    """Let an engine of (writer, numbers, advance) write two shards of four."""
    shutil.copytree(serial, output)
    for number in (0, 2):
        (output / f"shard-0000{number}-of-00004.arrayrecord").unlink()
    records, went_by = open_folder(folder), []
    writer = ShardWriter(records, make_plan(ShardPlan, records, SOURCE, **PLAN), output)

    def counting(numbers, advance):
        return engine(writer, numbers, lambda count: (went_by.append(count), advance(count)))

    store_shards(writer, counting, bad_share=0.1, console=Console(quiet=True))
    assert contents(output) == contents(serial)
    assert sum(went_by) == 6


def test_a_pool_of_processes_writes_the_same_bytes(folder, serial, tmp_path):
    check_engine(folder, tmp_path / "output", serial, partial(write_locally, workers=2))


def test_beam_writes_the_same_bytes(folder, serial, tmp_path):
    pytest.importorskip("apache_beam", reason="pip install -r requirements-beam.txt")

    options = ["--runner=FnApiRunner"]  # which fetches nothing
    engine = partial(write_on_beam, open_records=partial(open_folder, folder), options=options)
    check_engine(folder, tmp_path / "output", serial, engine)
