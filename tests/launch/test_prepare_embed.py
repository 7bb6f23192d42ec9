"""Runs of `launch/prepare.py embed`: lines of a file, in processes that import PyTorch."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.preparation.text_teachers import TeacherSettings, TextTeacher
from tests.launch.conftest import REPOSITORY
from tests.preparation.test_text_teachers import save_llama

LINES = ["a dog on the sofa\tthe dog", "two cars", "a red house", "two cars\ta small red house"]
TEXTS = ["a dog on the sofa", "the dog", "two cars", "a red house", "a small red house"]
TEACHER = {"pooling": "mean", "layer": 2, "length": 6}


@pytest.fixture(scope="module")
def embed(tmp_path_factory):
    """Starts the command where modules are None: torchvision cannot be loaded everywhere."""
    folder = tmp_path_factory.mktemp("lines")
    (folder / "captions.txt").write_text("\n".join(LINES))

    def embed(output, *options, without=("torchvision",)):
        modules = folder / "-".join(without)
        modules.mkdir(exist_ok=True)
        blocked = f"import sys\nsys.modules.update(dict.fromkeys({without!r}))\n"
        (modules / "sitecustomize.py").write_text(blocked)
        environment = os.environ | {
            "PYTHONPATH": f"{modules}:{REPOSITORY}",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        source = f"--source=lines:{folder}/captions.txt"
        command = [sys.executable, "launch/prepare.py", "embed", source, f"--output={output}"]
        return subprocess.run(
            [*command, *options],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return embed


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("teachers") / "llama")


@pytest.fixture(scope="module")
def options(llama):
    settings = [f"--{key}={value}" for key, value in TEACHER.items()]
    return [f"--teacher={llama}", "--parts=2", "--workers=1", *settings]


@pytest.fixture(scope="module")
def finished(embed, options, tmp_path_factory):
    """(output, process) of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("finished") / "texts"
    return output, embed(output, *options)


def test_lines_are_embedded(finished, llama):
    output, process = finished
    assert (process.returncode, process.stderr) == (0, "")
    found = EmbeddedTexts(output)
    assert (found.contents.rows, found.contents.texts) == ((3, 3), 5)
    teacher = TextTeacher(TeacherSettings(str(llama), **TEACHER))
    vectors = found.vectors(found.rows_of(TEXTS))
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(vectors, teacher.embed(TEXTS), rtol=1e-3, atol=1e-3)
    settings = found.contents.settings["teacher"]
    assert settings.items() >= TEACHER.items()
    assert re.fullmatch("[0-9a-f]{64}", settings["revision"])
    assert re.search(
        rf"{output}: 5 texts, 32 numbers each, float16\ncaptions of one picture: .* of 2 \(chance "
        r"50\.0%\); cosine \d\.\d\d, of two pictures -?\d\.\d\d\n$",
        process.stdout,
    )


def test_a_second_launch_has_nothing_to_do(embed, options, finished):
    output, process = finished
    before = {path: path.stat().st_mtime_ns for path in output.glob("*.*")}
    again = embed(output, *options)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.splitlines() == process.stdout.splitlines()[-2:]
    assert {path: path.stat().st_mtime_ns for path in output.glob("*.*")} == before


def refused(process):
    (line,) = process.stderr.splitlines()
    assert process.returncode == 2
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--teacher=x"], r"torch.*: pip install -r requirements-teach\.txt"),
        (["--teacher=x", "--source=line:x"], "the kind 'line'; did you mean lines"),
        ([], "flag --teacher=None"),
    ],
)
def test_mistakes_end_in_one_line_without_pytorch(embed, tmp_path, options, message):
    line = refused(embed(tmp_path / "texts", *options, without=("torch",)))
    assert re.search(message, line)
