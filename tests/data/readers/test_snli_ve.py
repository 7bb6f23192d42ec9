import logging

import numpy as np
import pytest

from kgclip_jax.errors import DataError
from tests.data.readers.labelled_files import small_snli_ve, snli_line, write_snli_ve


def test_lines_become_items_and_what_nobody_agreed_on_is_counted(tmp_path, caplog):
    data = small_snli_ve(tmp_path)
    with caplog.at_level(logging.WARNING):
        items = data.read(tmp_path, bad_share=0.0)
    assert "{'label on which annotators did not agree': 1}" in caplog.text
    assert items.texts[0][:2] == ["A sentence of entailment.", "A sentence of neutral."]
    assert items.pictures == ["100.jpg", "101.jpg", "102.jpg", "103.jpg"]
    np.testing.assert_array_equal(items.owners, np.repeat(range(4), 3))
    names = [items.classes[label] for label in items.labels[:3, 0]]
    assert names == ["entailment", "neutral", "contradiction"]
    assert (items.scores == 1).all()


def test_malformed_lines_are_named(tmp_path):
    good = snli_line("1", "Yes.", "neutral")
    for bad, message in (
        (good | {"gold_label": "maybe"}, "line 2 has gold_label 'maybe', none of contradiction, "),
        (good | {"Flickr30K_ID": "../1"}, "line 2: '../1.jpg' is no picture of the folder"),
        ({"gold_label": "neutral"}, "line 2 has no 'Flickr30K_ID' of type str or int"),
    ):
        data = write_snli_ve(tmp_path, "dev", [good, bad])
        with pytest.raises(DataError, match=message):
            data.read(tmp_path, bad_share=0.0)
    (tmp_path / data.file).write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(DataError, match=r"dev\.jsonl: line 1 has no"):
        data.read(tmp_path, bad_share=0.0)
    (tmp_path / data.file).write_text("\n\n{")
    with pytest.raises(DataError, match=r"dev\.jsonl, line 3, column 2: not valid JSON"):
        data.read(tmp_path, bad_share=0.0)
    write_snli_ve(tmp_path, "dev", [good | {"gold_label": "-"}])
    with pytest.raises(DataError, match=r"dev\.jsonl: no items with a label"):
        data.read(tmp_path, bad_share=0.0)
    (tmp_path / data.file).unlink()
    with pytest.raises(DataError, match=r"dev\.jsonl, .*: cannot be read on: .*No such file"):
        data.read(tmp_path, bad_share=0.0)
