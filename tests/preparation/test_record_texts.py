"""Texts of one record by their rows, what is held out, and pairs, compared with plain sets."""

import numpy as np
import pytest

from kgclip_jax.data.records import Record
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.preparation import record_texts
from kgclip_jax.preparation.record_texts import (
    FEWEST_HELD_OUT,
    draw_pairs,
    groups_of,
    hold_out,
    read_record_texts,
)
from tests.data.made_up_embeddings import random_embeddings


class Listed:
    """Records of lists of texts; None cannot be read."""

    name = "listed"
    skipped: dict = {}  # noqa: RUF012

    def __init__(self, captions):
        self.captions = captions

    def __len__(self):
        return len(self.captions)

    def record(self, index):
        if self.captions[index] is None:
            raise BadRecord("checksum")
        return Record(str(index), self.captions[index])

    def encoded(self, index):
        raise AssertionError("pictures are not read")


def read(folder, captions, bad_share=0.0, among=()):
    """(texts of records, embedded texts) of lists of captions."""
    different = dict.fromkeys(text for texts in captions if texts for text in texts)
    embedded = random_embeddings(folder, [*different, *among])
    return read_record_texts(Listed(captions), embedded, bad_share), embedded


def by_record(texts, embedded):
    """The texts of each record."""
    rows = np.split(texts.rows, texts.ends[1:-1])
    return {
        number: embedded.texts(own)
        for number, own in zip(texts.records.tolist(), rows, strict=True)
    }


def many(count=600, common=()):
    """Records of two to four texts, some with common ones."""
    return [
        [f"{n} is {m}" for m in range(2 + n % 3)] + [text for text in common if n % 7 == 0]
        for n in range(count)
    ]


def test_records_with_two_different_texts_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(record_texts, "_GROUP", 2)
    captions = [["a", "b"], ["a"], ["c", "c"], None, ["d", "c", "d", "a"], ["e", "b"]]
    texts, embedded = read(tmp_path, captions, bad_share=0.2, among=["others"])
    assert by_record(texts, embedded) == {0: ["a", "b"], 4: ["d", "c", "a"], 5: ["e", "b"]}
    first = [embedded.texts(rows) for rows in texts.first_two(most=10)]
    assert first == [["a", "b"], ["d", "c"], ["e", "b"]]
    assert len(texts.first_two(most=2)) == 2


def test_what_cannot_be_read_is_counted(tmp_path):
    with pytest.raises(DataError, match=r"listed: unreadable record: 1 of 3, above .*: checksum"):
        read(tmp_path, [["a", "b"], None, ["c", "d"]], bad_share=0.3)


def test_records_without_two_texts_tell_nothing(tmp_path):
    with pytest.raises(DataError, match="listed: none of 3 records has two different texts"):
        read(tmp_path, [["a"], ["b", "b"], []])


def test_texts_that_are_not_embedded_are_refused_by_number(tmp_path):
    embedded = random_embeddings(tmp_path, ["a", "b"])
    with pytest.raises(DataError, match="2 of 4 texts are not in it: 'c', 'd'"):
        read_record_texts(Listed([["a", "b"], ["c", "d"]]), embedded, 0.0)


class TestHoldOut:
    def test_no_text_of_a_held_out_record_is_learnt_from(self, tmp_path):
        texts, embedded = read(tmp_path, many(common=["somebody", "something"]))
        parts = hold_out(texts, 0.3, 0, "listed")
        learnt, choosing, measured = (by_record(part, embedded) for part in parts)
        assert len(learnt) + len(choosing) + len(measured) == 600
        assert not learnt.keys() & choosing.keys() | learnt.keys() & measured.keys()
        assert not choosing.keys() & measured.keys()
        known = {text for own in (*choosing.values(), *measured.values()) for text in own}
        assert {"somebody", "something"} <= known  # which would have been learnt from
        assert not known & {text for own in learnt.values() for text in own}
        assert min(map(len, learnt.values())) == 2
        for part in (choosing, measured):  # 90 each, standard deviation 8.7
            assert 60 < len(part) < 120

    def test_a_record_without_texts_of_its_own_is_not_learnt_from(self, tmp_path):
        captions = [*many(300), *([[f"{n} is 0", f"{n} is 1"] for n in range(300)])]
        texts, embedded = read(tmp_path, captions)
        parts = hold_out(texts, 0.5, 0, "listed")
        learnt = by_record(parts.learnt, embedded)
        held = {*parts.choosing.records.tolist(), *parts.measured.records.tolist()}
        twins = [n for n in range(300) if n in held and n + 300 not in held]
        assert len(twins) > 20
        assert not {n + 300 for n in twins} & learnt.keys()

    def test_it_is_a_hash_of_seed_and_record(self, tmp_path):
        texts, _ = read(tmp_path / "all", many())
        fewer, _ = read(tmp_path / "fewer", many(400))
        one, again, other = (hold_out(texts, 0.3, seed, "listed") for seed in (5, 5, 6))
        part = hold_out(fewer, 0.3, 5, "listed")
        assert one.measured.records.tolist() == again.measured.records.tolist()
        assert one.measured.records.tolist() != other.measured.records.tolist()
        first = [number for number in one.measured.records.tolist() if number < 400]
        assert part.measured.records.tolist() == first

    def test_too_few_are_refused_with_numbers(self, tmp_path):
        texts, _ = read(tmp_path, many(100))
        with pytest.raises(
            DataError,
            match=r"listed: of 100 records with two different texts, \d+ are held out to choose a "
            rf"map and \d+ to measure it; {FEWEST_HELD_OUT} each are the fewest",
        ):
            hold_out(texts, 0.2, 0, "listed")
        with pytest.raises(DataError, match=r"of 100 records .*, 0 are left to learn from"):
            hold_out(texts, 0.9999, 0, "listed")


class TestPairs:
    def test_are_two_different_texts_of_a_record(self, tmp_path):
        texts, embedded = read(tmp_path, many(30))
        own, found = by_record(texts, embedded), {}
        for step in range(300):
            pairs, groups = draw_pairs(texts, step, 10, seed=0)
            assert len(np.unique(groups)) == 10
            for pair in pairs:
                one, two = embedded.texts(pair)
                number = int(one.split()[0])
                assert one != two
                assert {one, two} <= {*own[number]}
                found.setdefault(number, set()).add((one, two))
        for number, pairs in found.items():  # all that there are, in either order
            assert len(pairs) == len(own[number]) * (len(own[number]) - 1)

    def test_every_record_comes_once_in_an_epoch(self, tmp_path):
        texts, embedded = read(tmp_path, many(30))
        for epoch in range(3):
            draws = [draw_pairs(texts, 3 * epoch + step, 10, seed=0)[0] for step in range(3)]
            words = embedded.texts(np.concatenate(draws)[:, 0])
            assert sorted(int(text.split()[0]) for text in words) == list(range(30))

    def test_are_a_function_of_seed_and_step(self, tmp_path):
        texts, _ = read(tmp_path, many(30))
        draw = lambda step, seed: draw_pairs(texts, step, 10, seed)[0].tolist()  # noqa: E731
        assert draw(4, 0) == draw(4, 0)
        assert draw(4, 0) != draw(5, 0)
        assert draw(4, 0) != draw(4, 1)

    @pytest.mark.parametrize(
        ("pairs", "records", "expected"),
        [
            ([[1, 2], [3, 4], [5, 6]], [0, 1, 2], [0, 1, 2]),
            ([[1, 2], [3, 1], [5, 6]], [0, 1, 2], [0, 0, 1]),  # a first text is a second one
            ([[1, 2], [3, 2], [5, 2]], [0, 1, 2], [0, 0, 0]),
            ([[1, 2], [3, 4], [5, 6]], [0, 1, 0], [0, 1, 0]),
            ([[1, 2], [5, 6], [3, 4], [4, 1]], [0, 1, 2, 3], [0, 1, 0, 0]),  # over the last one
            ([[0, 1], [2, 3]], [7, 0], [0, 1]),  # a row is no record
        ],
    )
    def test_of_one_meaning_have_one_number(self, pairs, records, expected):
        groups = groups_of(np.array(pairs), np.array(records))
        assert groups.dtype == np.int32
        numbers = {}
        assert [numbers.setdefault(group, len(numbers)) for group in groups] == expected
