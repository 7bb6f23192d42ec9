"""JSON files and tokenizers made to do harm: each is refused in clear words, or read as what it is.

All readers keep within seconds and a gigabyte, open nothing outside the folder they were given, and
start nothing: see `cage`.
"""

import json

import pytest

from tests.convert.small_models import word_tokenizer
from tests.hostile.verdicts import NOISE, harmless, refused

JSONS = {
    "deep nesting": ("[" * 10**6, "nested too deeply|not valid JSON"),
    "a number of digits": ('{"a": ' + "9" * 10**6 + "}", "a number of 1000000 digits"),
    "a list": ("[1]", "expected a JSON object"),
    "half a file": ('{"a": "', "not valid JSON"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "NUL": ('{"a": "\0"}', "NUL"),
    "nothing": ("", "not valid JSON"),
}
READ_AS_JSON = {"json": "a.json", "manifest": "manifest.json", "tokenizer": "tokenizer.json"}


@pytest.mark.parametrize("name", JSONS)
@pytest.mark.parametrize("reader", READ_AS_JSON)
def test_json(ask, folder, name, reader):
    content, message = JSONS[name]
    path = folder / READ_AS_JSON[reader]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = f"{path.name}.*({message}|has no object 'model')" if reader != "manifest" else ""
    refused(ask(reader, path if reader == "json" else folder), message, folder)


def test_json_with_a_million_keys_is_read(ask, folder):
    (folder / "a.json").write_text(json.dumps({str(number): 0 for number in range(10**5)}))
    harmless(ask("json", folder / "a.json"), folder)


def words(folder):
    word_tokenizer(folder)
    return json.loads((folder / "words.json").read_text())


TOKENIZERS = {
    "a model of no kind": lambda t: t | {"model": {"type": "Evil"}},
    "a template without its token": lambda t: t["post_processor"] | {"special_tokens": {}},
    "an end that is not there": lambda t: t["post_processor"]["special_tokens"].clear() or t,
    "ids of 2 ** 40": lambda t: t["model"]["vocab"].update(a=2**40) or t,
    "a pattern without end": lambda t: (
        t
        | {
            "pre_tokenizer": {
                "type": "Split",
                "pattern": {"Regex": "(a*)*(" * 5000},
                "behavior": "Isolated",
                "invert": False,
            }
        }
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers(ask, folder, name):
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZERS[name](words(folder))))
    (folder / "words.json").unlink()
    refused(ask("tokenizer", folder), "tokenizer.json", folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x0a" + b"\xff" * 100, b"\x0a" + b"\xff" * 9 + b"\x01", NOISE[:1000]],
    ids=["empty", "a number without end", "a length of 2 ** 63", "noise"],
)
def test_sentencepiece_models(ask, folder, content):
    (folder / "spiece.model").write_bytes(content)
    refused(ask("tokenizer", folder), "spiece.model: not a", folder)
