import base64
import math
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.evaluation_sets import RetrievalSet
from kgclip_jax.errors import UserError
from kgclip_jax.evaluation.examples import Examples, Found
from kgclip_jax.evaluation.result import Result, to_json
from kgclip_jax.reporting.report import NextStep, write_report
from kgclip_jax.reporting.style import STYLE
from tests.array_pictures import ArrayPictures
from tests.knowledge.graph.made_up_graphs import make_graph

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
def run():
    """What a short run leaves behind: results and examples of a set with hostile captions."""
    images = np.random.default_rng(0).integers(256, size=(8, 16, 16, 3), dtype=np.uint8)
    data = RetrievalSet(
        HOSTILE, ArrayPictures(images), [f"{HOSTILE} {i}" for i in range(8)], np.arange(8)
    )
    found = [(2, 1), (0, 2), (1, 3), (4, 4), (5, 5), (7, 6)]  # candidates and their ranks
    examples = tuple((own, tuple(Found(c, r, 0.5, c == own) for c, r in found)) for own in (2, 7))
    text = Result("composition", "swaps", "text", 0.75, 0.5, 1.0, 8, 0.5)
    return {
        "metrics": METRICS,
        "evaluations": [],
        "sessions": [],
        "results": [
            Result("retrieval", HOSTILE, "R@1", 0.5, 0.2, 0.8, 8, 0.125),
            replace(text, value=0.5, blind=True),
            replace(text, metric="image"),
            text,
            replace(text, value=0.625, weights="average"),
        ],
        "examples": Examples(data, examples, examples),
        "graphs": [],
        "config": f"name: {HOSTILE}",
        "next_steps": [NextStep(HOSTILE, f"python launch/train.py '{HOSTILE}'")],
    }


def write(path, run, **changes) -> Page:
    write_report(path / "report.html", title=HOSTILE, **{**run, **changes})
    return Page((path / "report.html").read_text(encoding="utf-8"))


def test_evaluations_on_the_way_are_curves_of_each_set(tmp_path, run):
    rows = to_json(run["results"])
    one, two = ({"step": step, "results": rows} for step in (5, 10))
    before = write(tmp_path, run, evaluations=[one])
    page = write(tmp_path, run, evaluations=[one, two])
    assert "Evaluation on the way" in page.texts
    assert "Evaluation on the way" not in before.texts
    assert page.classes("chart") == before.classes("chart") + 2
    assert page.classes("line") == before.classes("line") + 4  # blind rows have none
    assert {"R@1", "image", "text", "text, average weights"} <= {*page.texts}


def test_launches_are_rows_of_where_the_time_went(tmp_path, run):
    seconds = {"steps": 75.0, "compile": 25.0}
    one = {"start": 0, "step": 5, "seconds": seconds, "memory": {"peak_host_memory": 1.5}}
    two = {"start": 5, "step": 5, "seconds": {"steps": 0.0, "other": 2.0}, "memory": {}}
    assert "Where the time went" not in write(tmp_path, run).texts
    texts = write(tmp_path, run, sessions=[one, two]).texts
    place = texts.index("steps taken")
    assert texts[place : place + 6] == [
        *("steps taken", "seconds", "% steps", "% compile", "% other", "GiB at most")
    ]
    assert texts[place + 6 : place + 12] == ["1 to 5", "100", "75.0", "25.0", "0.0", "1.50 (host)"]
    assert texts[place + 12 : place + 17] == ["none", "2", "0.0", "0.0", "100.0"]


def test_hostile_text_stays_text(tmp_path, run):
    page = write(tmp_path, run)
    names = {name for name, _ in page.tags}
    assert "script" not in names
    # Title, headline, set name, 2 captions, 2 x 6 found ones, config, next step and command.
    assert sum(HOSTILE in text for text in page.texts) == 1 + 1 + 1 + 2 + 12 + 1 + 2


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


def test_graphs_are_drawn_and_their_names_stay_text(tmp_path, run):
    name = HOSTILE[:20]  # as much as is drawn whole
    graph = make_graph(tmp_path / "graph", {"train": [(name, HOSTILE, "thing")]})
    before, page = write(tmp_path, run), write(tmp_path, run, graphs=[graph])
    assert (before.classes("tree"), page.classes("tree")) == (0, 1)
    # The headline of the drawing, and what stands in the box and over it.
    assert page.texts.count(name) == 3
    assert "script" not in {tag for tag, _ in page.tags}


def test_pictures_are_those_of_the_set(tmp_path, run):
    page = write(tmp_path, run)
    sources = [attributes["src"] for name, attributes in page.tags if name == "img"]
    assert len(sources) == 2 * 6 + 2
    data = run["examples"].data
    caption, found = run["examples"].found_images[0]
    for source, one in zip(sources, found, strict=False):
        payload = base64.b64decode(source.removeprefix("data:image/png;base64,"))
        picture = np.asarray(Image.open(BytesIO(payload)))
        np.testing.assert_array_equal(picture, data.pictures[one.candidate])
    assert found[0].candidate == caption
    assert page.classes("right") == 4
    assert page.texts.count("6 \u2713") == 1


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
    cells = [page.texts[page.texts.index(name) :][:4] for name in ("text", "text, blind", "image")]
    assert cells == [
        ["text", "75.0 (50.0 - 100.0)", "50.0", "8"],
        ["text, blind", "50.0 (50.0 - 100.0)", "50.0", "8"],
        ["image", "75.0 (50.0 - 100.0)", "50.0", "8"],
    ]
    assert page.texts[page.texts.index("text, average weights") + 1].startswith("62.5")
    assert (page.classes("seeing"), page.classes("blind")) == (4, 1 + 1)  # the row, its dot


def charts(page: Page) -> list[str]:
    return [a["aria-label"] for n, a in page.tags if n == "svg" and "viewbox" in a]


def test_curves_show_the_last_values(tmp_path, run):
    page = write(tmp_path, run)
    assert charts(page) == [
        "Training loss",
        "Learning rate",
        "Image-text pairs per second",
        "Share of time waiting for input",
    ]
    for value in ("3.25", "0.001", "345", "2 %"):
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

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(UserError, match=r"cannot write .*report.html: No space left on device"):
        write(tmp_path, run, config="newer")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "older" in (tmp_path / "report.html").read_text()


def test_a_missing_folder_is_named(tmp_path, run):
    with pytest.raises(UserError, match=r"cannot write .*absent.*No such file"):
        write(tmp_path / "absent", run)
