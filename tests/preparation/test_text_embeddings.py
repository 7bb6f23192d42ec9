"""Whole runs over records with a teacher that hashes: every text, stops, refusals, paraphrases."""

import hashlib
import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.data.records import Record
from kgclip_jax.errors import BadRecord, ConfigError, DataError
from kgclip_jax.preparation import local, text_embeddings
from kgclip_jax.preparation.text_embeddings import (
    EmbeddingWriter,
    describe_embedded,
    make_embedding_plan,
    paraphrases,
    store_embedded,
)
from kgclip_jax.preparation.text_teachers import TeacherSettings, TextTeacher

SOURCE = {"kind": "lines", "folder": "captions.txt"}
TEACHER = TeacherSettings("small", revision="0123", layer=-2)


class Hashing:
    """Stands in for a model: a vector is made of the hash of the text, or is a given one."""

    width = 4

    def __init__(self):
        self.asked, self.given = [], {}

    def embed(self, texts):
        self.asked.append(texts)
        return np.stack([self.vector(text) for text in texts])

    def vector(self, text):
        digest = hashlib.sha256(text.encode()).digest()
        drawn = np.frombuffer(digest[:4], np.int8) / np.float32(128)
        return np.asarray(self.given.get(text, drawn), np.float32)


class Album:
    """Records without pictures; those of some numbers cannot be read."""

    name = "album"

    def __init__(self, captions, torn=()):
        self.captions, self.torn = captions, torn
        self.skipped = {"empty caption": 3}

    def __len__(self):
        return len(self.captions)

    def record(self, index):
        if index in self.torn:
            raise BadRecord("checksum")
        return Record(f"{index}.jpg", self.captions[index])

    def encoded(self, index):
        raise AssertionError("pictures are not read")


def album(torn=()):
    """Ten records of one to three captions; some texts are said of many, also in other parts."""
    return Album(
        [["a dog", f"picture {n}", f"picture {n // 2}"][: 1 + n % 3] for n in range(10)], torn
    )


def texts_of(records):
    read = [n for n in range(len(records)) if n not in records.torn]
    return sorted({text for n in read for text in records.record(n).captions})


@pytest.fixture
def teacher(monkeypatch):
    teacher = Hashing()
    monkeypatch.setattr(text_embeddings, "_teacher", lambda settings: teacher)
    return teacher


def run(
    records, output, *, teacher=TEACHER, dtype="float32", parts=4, stop_after=None, bad_share=0.0
):
    """Embed; returns (found, numbers of the files that were written, what was printed)."""
    plan = make_embedding_plan(records, SOURCE, teacher, dtype=dtype, parts=parts)
    writer = EmbeddingWriter(records, plan, output)
    console, written = Console(file=io.StringIO()), []

    def engine(numbers, advance):
        for number in numbers:
            if len(written) == stop_after:
                raise KeyboardInterrupt
            yield writer.write(number)
            advance(len(plan.range(number)))
            written.append(number)

    found = store_embedded(writer, engine, bad_share=bad_share, console=console)
    return found, written, console.file.getvalue()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def embedded(teacher, tmp_path):
    output = tmp_path / "new" / "texts"
    return output, *run(album(), output)


def vectors_by_text(found, texts):
    return dict(zip(texts, found.vectors(found.rows_of(texts)).tolist(), strict=True))


def test_every_caption_is_embedded(embedded, teacher):
    output, found, written, _ = embedded
    texts = texts_of(album())
    assert written == [0, 1, 2, 3]
    assert sorted(set(found.texts(np.arange(len(found))))) == texts
    for text, vector in vectors_by_text(found, texts).items():
        np.testing.assert_array_equal(vector, teacher.vector(text))
    assert (found.folder, found.contents.texts, found.contents.width) == (output, len(texts), 4)
    assert found.contents.left_out == {"empty caption": 3}
    assert found.contents.settings["source"] == SOURCE
    assert found.contents.settings["teacher"]["layer"] == -2


def test_a_text_is_embedded_once_in_a_part(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(text_embeddings, "_GROUP", 3)  # the next group has texts of this one
    found, *_ = run(album(), tmp_path, parts=1)
    asked = [text for texts in teacher.asked for text in texts]
    assert len(teacher.asked) > 1
    assert sorted(asked) == texts_of(album())
    assert found.texts(np.arange(len(found))) == asked


@pytest.mark.parametrize("parts", [1, 3, 10])
def test_the_number_of_parts_changes_no_embedding(embedded, tmp_path, parts):
    _, expected, *_ = embedded
    found, written, _ = run(album(), tmp_path / "others", parts=parts)
    texts = texts_of(album())
    assert written == list(range(parts))
    assert vectors_by_text(found, texts) == vectors_by_text(expected, texts)


def test_embeddings_are_stored_in_half_the_precision(teacher, tmp_path):
    found, *_ = run(album(), tmp_path, dtype="float16")
    vectors = found.vectors(found.rows_of(["a dog", "picture 4"]))
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(vectors, [teacher.vector("a dog"), teacher.vector("picture 4")])


def test_after_a_stop_only_what_is_missing_is_embedded(embedded, tmp_path):
    output = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run(album(), output, stop_after=3)
    with pytest.raises(DataError, match=r"embeddings\.json: not found"):
        EmbeddedTexts(output)
    (output / "reports" / "embeddings-00001.json").unlink()  # as if killed between the two
    _, written, printed = run(album(), output)
    assert written == [1, 3]
    assert "continuing after 4 of 10 records" in printed
    assert files(output) == files(embedded[0])


def test_a_finished_folder_is_left_alone(embedded, teacher):
    output, found, _, _ = embedded
    before = files(output)
    teacher.asked.clear()
    again, written, _ = run(album(), output)
    assert (again.contents, written, teacher.asked) == (found.contents, [], [])
    assert files(output) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": replace(TEACHER, model="large")}, "teacher.model: 'small' -> 'large'"),
        ({"teacher": replace(TEACHER, revision="4567")}, "teacher.revision: '0123' -> '4567'"),
        ({"teacher": replace(TEACHER, layer=-1)}, "teacher.layer: -2 -> -1"),
        ({"dtype": "float16"}, "dtype: 'float32' -> 'float16'"),
        ({"parts": 5}, "shards: 4 -> 5"),
    ],
)
def test_changes_are_refused_by_name(embedded, changes, message):
    before = files(embedded[0])
    with pytest.raises(ConfigError, match=rf"begun otherwise \({message}\)"):
        run(album(), embedded[0], **changes)
    assert files(embedded[0]) == before


def test_other_captions_are_refused(embedded):
    changed = album()
    changed.captions[3] = ["another caption"]
    with pytest.raises(ConfigError, match=r"\(source: keys, captions or boxes"):
        run(changed, embedded[0])


@pytest.mark.usefixtures("teacher")
def test_unreadable_records_are_counted_up_to_a_share(tmp_path):
    torn = album(torn=[0, 1])  # all of the first of five files
    with pytest.raises(DataError, match=r"unreadable record: 2 of 10, .*record 0 \(checksum\)"):
        run(torn, tmp_path, parts=5, bad_share=0.1)
    found, written, _ = run(torn, tmp_path, parts=5, bad_share=0.2)
    assert written == [1, 2, 3, 4]  # what was finished stayed
    assert found.contents.rows[0] == 0
    assert found.contents.left_out == {"empty caption": 3, "unreadable record": 2}
    assert sorted(set(found.texts(np.arange(len(found))))) == texts_of(torn)


def test_numbers_too_large_for_what_is_stored_are_refused_with_their_text(teacher, tmp_path):
    teacher.given["picture 4"] = [0, 7e4, 0, 0]
    with pytest.raises(DataError, match=r"embeddings-00001-of-00004.*float16, .* 'picture 4' for"):
        run(album(), tmp_path, dtype="float16")
    assert "embeddings-00000.json" in files(tmp_path)  # what was finished stays
    assert not {"embeddings-00001.json", "embeddings-00001-of-00004.arrow"} & set(files(tmp_path))


@pytest.mark.usefixtures("teacher")
def test_a_source_of_no_text_is_refused(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}: the source has no text"):
        run(Album([[], []]), tmp_path, parts=2)


def test_a_writer_pickles_without_its_model(teacher, tmp_path):
    """Each worker loads its own; see `tests/launch/test_prepare_embed.py`."""
    plan = make_embedding_plan(album(), SOURCE, TEACHER, dtype="float32")
    writer = EmbeddingWriter(album(), plan, tmp_path)
    (tmp_path / "reports").mkdir()
    assert len(pickle.dumps(writer)) < 3000
    report = pickle.loads(pickle.dumps(writer)).write(0)
    assert report == writer.report(0)


def test_workers_share_the_gpus(monkeypatch):
    class Placed(TextTeacher):
        def __init__(self, settings, device):
            self.device = device

    monkeypatch.setattr(text_embeddings, "devices", lambda: ["cuda:0", "cuda:1"])
    monkeypatch.setattr(text_embeddings, "TextTeacher", Placed)
    load = text_embeddings._teacher.__wrapped__  # as each process does, once
    found = []
    for number in range(4):
        monkeypatch.setattr(local, "_number", number)
        found.append(load(TEACHER).device)
    assert found == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    monkeypatch.setattr(text_embeddings, "devices", list)
    assert load(TEACHER).device == "cpu"


PAIRS = {  # cosines of first and second captions are 0.8, 1 and 0
    "dog 1": [5, 0, 0, 0],
    "dog 2": [4, 3, 0, 0],
    "cat 1": [0, 2, 0, 0],
    "cat 2": [0, 1, 0, 0],
    "car 1": [0, 0, 1, 0],
    "car 2": [0, 0, 0, 9],
}


class TestParaphrases:
    def test_are_found_among_those_of_other_records(self, teacher, tmp_path):
        """The second caption of the car is as near to its first as all others: not found."""
        teacher.given |= PAIRS
        records = Album(
            [
                ["dog 1", "dog 2", "dog 3"],
                ["alone"],
                ["cat 1", "cat 1", "cat 2"],
                ["twice", "twice"],
                ["torn", "apart"],
                ["car 1", "car 2"],
            ],
            torn=[4],
        )
        found, *_ = run(records, tmp_path, parts=2, bad_share=0.2)
        told = paraphrases(records, found)
        assert told.n == 3
        assert told.recall == pytest.approx(2 / 3)
        assert told.same == pytest.approx((0.8 + 1 + 0) / 3)
        assert told.others == pytest.approx((0.6 + 5 * 0) / 6)  # "cat 1" and "dog 2"
        assert describe_embedded(found, told) == (
            f"{tmp_path}: 9 texts, 4 numbers each, float32; left out: 3 x empty caption, 1 x "
            "unreadable record\n"
            "captions of one picture: the second is found by the first in 66.7% of 3 (chance "
            "33.3%); cosine 0.60, of two pictures 0.10"
        )

    @pytest.mark.usefixtures("teacher")
    def test_need_two_records_with_two_captions(self, tmp_path):
        records = Album([["one", "two"], ["three"], ["four", "four"]])
        found, *_ = run(records, tmp_path, parts=1)
        assert paraphrases(records, found) is None
        assert describe_embedded(found, None) == (
            f"{tmp_path}: 4 texts, 4 numbers each, float32; left out: 3 x empty caption"
        )

    @pytest.mark.usefixtures("teacher")
    def test_are_asked_of_records_from_the_first_to_the_last(self, tmp_path, monkeypatch):
        """A data set that is sorted by anything has other captions at its end."""
        records, asked = Album([[f"{n}", f"again {n}"] for n in range(100)]), []
        found, *_ = run(records, tmp_path, parts=1)
        rows_of = found.rows_of
        recorded = lambda texts: (asked.append(texts), rows_of(texts))[1]  # noqa: E731
        monkeypatch.setattr(found, "rows_of", recorded)
        told = paraphrases(records, found, most=5)
        numbers, again = ([int(text.split()[-1]) for text in texts] for texts in asked)
        assert numbers == again
        assert 4 <= told.n == len(numbers) <= 5
        assert np.diff([-1, *numbers, 100]).max() <= 35
