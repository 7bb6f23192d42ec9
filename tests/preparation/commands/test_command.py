"""What holds for every command of `launch/prepare.py`."""

import ast
from pathlib import Path

import pytest
from absl import flags

from kgclip_jax.preparation.commands import command
from kgclip_jax.preparation.commands.command import COMMANDS, find_command

ROOT = Path(__file__).resolve().parents[3]
FILES = {path.stem for path in Path(command.__file__).parent.glob("*_command.py")}


def test_each_is_one_file_and_one_line():
    assert sorted(COMMANDS.values()) == sorted(FILES)


@pytest.mark.parametrize("name", COMMANDS)
def test_it_has_flags_of_its_own_and_something_to_do(name):
    before = set(flags.FLAGS)
    find_command(name).define_flags()
    defined = set(flags.FLAGS) - before
    assert defined
    assert callable(find_command(name).run)
    for flag in defined:
        delattr(flags.FLAGS, flag)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_launcher_tells_of_it(name):
    described = ast.get_docstring(ast.parse((ROOT / "launch" / "prepare.py").read_text()))
    assert f"python launch/prepare.py {name} " in described
    assert f"`{name}`" in described
