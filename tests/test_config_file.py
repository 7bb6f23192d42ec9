"""Config files: what they may be, and mistakes in them."""

import pytest

from kgclip_jax.config_file import load_config
from kgclip_jax.errors import UserError


@pytest.fixture
def file(tmp_path):
    """Write a config file; returns its path."""

    def file(content, name="mine.py"):
        (tmp_path / name).write_text(content)
        return str(tmp_path / name)

    return file


def test_settings_and_name_with_an_argument_and_without(file):
    path = file(
        "from ml_collections import ConfigDict\n"
        "def get_config(source='none'):\n"
        "    return ConfigDict(dict(model=dict(width=1), source=source, size=(1, 2)))"
    )
    loaded = load_config(path)
    assert loaded.values == {"model": {"width": 1}, "source": "none", "size": (1, 2)}
    assert (type(loaded.values["model"]), loaded.name) == (dict, "mine")
    loaded = load_config(f"{path}:hf:a/b")
    assert (loaded.values["source"], loaded.name) == ("hf:a/b", "mine-hf:a/b")


def test_the_config_of_a_run_is_a_config(file, tmp_path):
    loaded = load_config(file('{"seed": 3}', "config.json"))
    assert (loaded.values, loaded.name) == ({"seed": 3}, tmp_path.name)


@pytest.mark.parametrize(
    ("content", "argument", "message"),
    [
        ("def get_config(source): return {}", "", r"mine\.py needs an argument: .*mine\.py:SOURCE"),
        ("def get_config(): return {}", ":x", r"mine\.py takes no argument: 'x'"),
        ("def get_config(): return 3", "", r"mine\.py must hold settings by name, not 3"),
        ("def config(): return {}", "", r"mine\.py has no function get_config"),
        ("x = 1\nx = (", "", r"mine\.py:2: '\(' was never closed"),
        ("import nowhere_at_all", "", r"mine\.py:1: ModuleNotFoundError: No module named 'nowhere"),
        ("def get_config():\n  return int('a')", "", r"mine\.py:2: ValueError: invalid literal"),
        (
            "import configs.quickstart as q\nget_config = q.get_config",
            ":x",
            "^there is no variant 'x'",
        ),
    ],
)
def test_mistakes_in_a_config_file_are_located(file, content, argument, message):
    with pytest.raises(UserError, match=message):
        load_config(file(content) + argument)


@pytest.mark.parametrize(
    ("content", "argument", "message"),
    [
        ("{", "", r"config\.json, line 1, column 2: not valid JSON"),
        ("[1]", "", r"config\.json must hold settings by name, not \[1\]"),
        ("{}", ":x", r"config\.json takes no argument: 'x'"),
    ],
)
def test_mistakes_in_the_config_of_a_run(file, content, argument, message):
    with pytest.raises(UserError, match=message):
        load_config(file(content, "config.json") + argument)


def test_a_folder_is_no_config(tmp_path):
    with pytest.raises(UserError, match="there is no config file"):
        load_config(str(tmp_path))
