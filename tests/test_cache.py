"""What is kept for the next start, and for what alone."""

import pytest

from kgclip_jax.cache import NO_CACHE, Cache
from kgclip_jax.errors import DataError


def test_a_value_is_made_once_for_its_origin(tmp_path):
    made = []

    def make():
        made.append([len(made), "half \udc80"])
        return made[-1]

    told = []
    cache = Cache(tmp_path / "cache", told.append)
    first = cache("choice", "records 1 \udc80", make, "counting")
    assert (
        Cache(tmp_path / "cache")("choice", "records 1 \udc80", make, "counting")
        == first
        == made[0]
    )
    assert cache("choice", "records 2", make, "counting") == made[1]
    assert cache("other", "records 1 \udc80", make, "counting") == made[2]
    assert told == ["counting"] * 3
    assert [NO_CACHE("choice", "records 2", make, "counting") for _ in range(2)] == made[3:]


def test_an_error_is_not_kept_and_a_damaged_file_is_named(tmp_path):
    cache = Cache(tmp_path)
    with pytest.raises(ZeroDivisionError):
        cache("choice", "x", lambda: 1 / 0, "")
    cache("choice", "x", lambda: None, "")  # nothing is a value too
    assert cache("choice", "x", lambda: 1, "") is None
    (file,) = tmp_path.iterdir()
    file.write_text("[")
    with pytest.raises(DataError, match=r"choice-[0-9a-f]+\.json, line 1"):
        cache("choice", "x", lambda: 1, "")


@pytest.mark.parametrize("content", ['{"sha256": "", "value": [1]}', "[1]", None])
def test_a_changed_value_is_not_taken(tmp_path, content):
    cache = Cache(tmp_path)
    cache("choice", "x", lambda: [{"a": 1.5}], "")
    (file,) = tmp_path.iterdir()
    file.write_text(content or file.read_text().replace("1.5", "1.7"))
    with pytest.raises(DataError, match=r"choice-[0-9a-f]+\.json is not as it was written; delete"):
        cache("choice", "x", lambda: [1], "")
