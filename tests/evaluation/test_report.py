import base64
import math
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.evaluation_sets import ChoiceSet, RetrievalSet
from kgclip_jax.data.questions import ask_to_match
from kgclip_jax.errors import UserError
from kgclip_jax.evaluation.examples import retrieval_examples
from kgclip_jax.evaluation.report import NextStep, write_report
from kgclip_jax.evaluation.style import STYLE
from kgclip_jax.evaluation.tasks import evaluate
from tests.array_pictures import ArrayPictures

HOSTILE = "<script>alert('1')</script> & \"quoted\" <img src=https://example.org/x.png>"
METRICS = [
    {"step": 0, "loss": 4.5, "learning_rate": 0.0, "pairs_per_second": 12.0, "input_wait": 0.5},
    {
        "step": 10,
        "loss": 3.25,
        "learning_rate": 1e-3,
        "pairs_per_second": 345.0,
        "input_wait": 0.02,
    },
]


class Page(HTMLParser):
    """Collects what the tests ask about, and checks that elements are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))
        if name not in ("meta", "img"):
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.texts.append(data)

    def classes(self, name: str) -> int:
        return sum(name in attributes.get("class", "").split() for _, attributes in self.tags)


@pytest.fixture
def run(table_encoder, random_units):
    """What a short run leaves behind: results and examples of a set with hostile captions."""
    images = np.random.default_rng(0).integers(256, size=(8, 16, 16, 3), dtype=np.uint8)
    images[:, 0, 0] = 0
    images[:, 0, 0, 0] = np.arange(8)
    captions = [f"{HOSTILE} {i}" for i in range(8)]
    vectors = random_units(0, 8, 16)
    encoder = table_encoder(vectors, dict(zip(captions, vectors, strict=True)))
    pictures = ArrayPictures(images)
    data = RetrievalSet(HOSTILE, pictures, captions, np.arange(8))
    questions = ask_to_match([((i, i), (i + 4, i + 4)) for i in range(4)], both_at_once=False)
    swaps = ChoiceSet("swaps", pictures, captions, questions)
    return {
        "metrics": METRICS,
        "results": evaluate(encoder, [data, swaps]),
        "examples": retrieval_examples(encoder, data, 2),
        "config": f"name: {HOSTILE}",
        "next_steps": [NextStep(HOSTILE, f"python launch/train.py '{HOSTILE}'")],
    }


def write(path, run, **changes) -> Page:
    write_report(path / "report.html", title=HOSTILE, **{**run, **changes})
    return Page((path / "report.html").read_text(encoding="utf-8"))


def test_hostile_text_stays_text(tmp_path, run):
    page = write(tmp_path, run)
    names = {name for name, _ in page.tags}
    assert "script" not in names
    # Title, headline, set name, 2 captions, 2 x 5 found ones, config, next step and command.
    assert sum(HOSTILE in text for text in page.texts) == 1 + 1 + 1 + 2 + 10 + 1 + 2


def test_nothing_is_fetched(tmp_path, run):
    page = write(tmp_path, run)
    for name, attributes in page.tags:
        assert name not in ("link", "script", "iframe", "object", "use", "image")
        assert not any(key.startswith("on") for key in attributes)
        for key in ("src", "href", "srcset", "xlink:href", "style"):
            assert attributes.get(key, "data:").startswith("data:")
    assert not any(word in STYLE for word in ("url(", "@import", "//"))
    policies = [a["content"] for n, a in page.tags if "http-equiv" in a]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_pictures_are_those_of_the_set(tmp_path, run):
    page = write(tmp_path, run)
    sources = [attributes["src"] for name, attributes in page.tags if name == "img"]
    assert len(sources) == 2 * 5 + 2
    data = run["examples"].data
    caption, found = run["examples"].found_images[0]
    for source, one in zip(sources, found, strict=False):
        payload = base64.b64decode(source.removeprefix("data:image/png;base64,"))
        picture = np.asarray(Image.open(BytesIO(payload)))
        np.testing.assert_array_equal(picture, data.pictures[one.candidate])
    assert found[0].candidate == caption
    assert page.classes("right") == 4


def test_large_pictures_are_scaled_down(tmp_path, run):
    examples = run["examples"]
    images = examples.data.pictures.images.repeat(20, 1).repeat(20, 2)
    large = examples.data._replace(pictures=ArrayPictures(images))
    page = write(tmp_path, run, examples=examples._replace(data=large))
    source = next(attributes["src"] for name, attributes in page.tags if name == "img")
    picture = Image.open(BytesIO(base64.b64decode(source.split(",")[1])))
    assert picture.size == (160, 160)


def test_the_table_holds_every_row(tmp_path, run):
    page = write(tmp_path, run)
    assert page.classes("seeing") == 4 + 3  # R@1 and R@5 both ways; text, image, group
    assert page.classes("blind") == 2 * 2  # the row and its bar
    blind = page.texts.index("text, blind")
    assert page.texts.index("text") < blind < page.texts.index("image")
    assert page.texts[blind + 1] == "50.0"


def charts(page: Page) -> list[str]:
    return [a["aria-label"] for n, a in page.tags if n == "svg" and a.get("class") != "bar"]


def test_curves_show_the_last_values(tmp_path, run):
    page = write(tmp_path, run)
    assert charts(page) == [
        "Training loss",
        "Learning rate",
        "Image-text pairs per second",
        "Share of time waiting for input",
    ]
    for value in ("3.25", "0.001", "345", "2.0 %"):
        assert value in page.texts
    assert "10 training steps" in page.texts


def test_steps_written_again_after_a_resume_count_once(tmp_path, run):
    page = write(tmp_path, run, metrics=[*METRICS, {"step": 10, "loss": 2.5}])
    assert "2.5" in page.texts
    assert "step 10: 2.5" in page.texts
    assert "step 10: 3.25" not in page.texts


def test_lines_may_come_in_any_order(tmp_path, run):
    assert write(tmp_path, run, metrics=METRICS[::-1]).texts == write(tmp_path, run).texts


def test_values_that_are_not_finite_are_counted(tmp_path, run):
    bad = [{"step": 20, "loss": math.nan}, {"step": 30, "loss": math.inf}]
    page = write(tmp_path, run, metrics=[*METRICS, *bad])
    assert "2 values were not finite" in page.texts
    assert "3.25" in page.texts


def test_what_is_missing_is_left_out(tmp_path, run):
    page = write(tmp_path, run, metrics=[], results=[], examples=None, next_steps=[])
    assert charts(page) == []
    assert not any(name in ("table", "img") for name, _ in page.tags)
    assert "Configuration" in page.texts


def test_half_a_surrogate_pair_can_be_written(tmp_path, run):
    page = write(tmp_path, run, config="broken \ud83d caption")
    assert any(text.startswith("broken ") for text in page.texts)


def test_a_failed_write_keeps_the_older_file_and_leaves_no_rubbish(tmp_path, run, monkeypatch):
    write(tmp_path, run, config="older")

    def full_disk(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(UserError, match=r"cannot write .*report.html: No space left on device"):
        write(tmp_path, run, config="newer")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "older" in (tmp_path / "report.html").read_text()


def test_a_missing_folder_is_named(tmp_path, run):
    with pytest.raises(UserError, match=r"cannot write .*absent.*No such file"):
        write(tmp_path / "absent", run)
