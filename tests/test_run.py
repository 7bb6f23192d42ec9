"""Runs in this process: how they go on, go back, and refuse to go on as something else."""

import json
import re
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.streams import captions_config
from kgclip_jax.data.text_slots import TextSlots
from kgclip_jax.errors import CheckpointError, ConfigError, DataError, DivergedError, UserError
from kgclip_jax.run_evaluation import evaluate_workdir
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training.step import checkpoint_items
from tests.whole_runs import (
    assert_same_state,
    execute,
    experiment,
    losses,
    names,
    open_run,
    state_of,
    write_album,
)


@pytest.fixture(scope="module", autouse=True)
def _one_device():
    """Each of eight would save a slice of its own, which takes its time."""
    devices = jax.devices()[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda: devices)
        yield


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Thirty photographs, two of which cannot be decoded."""
    folder = write_album(tmp_path_factory.mktemp("data") / "album", 30)
    for number in (7, 8):
        (folder / "images" / f"{number}.jpg").write_bytes(b"\xff\xd8 torn")
    return folder


@pytest.fixture(scope="module")
def settings(album):
    """Settings of NegCLIP with random swaps, on that album."""

    def settings(**changes):
        return experiment(
            "configs/flickr8k.py",
            **{
                "data__path": album,
                "streams__captions__negatives__kinds__swap_words": 1,
                "objectives__contrastive__negatives": True,
                "optimizer__ema_decay": 0.5,
                "evaluate_every": 3,
                **changes,
            },
        )

    return settings


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    """(workdir, what was printed) of a run that nothing disturbed."""
    root = tmp_path_factory.mktemp("whole") / "run"
    return root, execute(root, settings())


@pytest.fixture
def stopped(whole, tmp_path):
    """The same run as a kill at step 5 leaves it."""
    root = shutil.copytree(whole[0], tmp_path / "run")
    for step in (6, 8):
        shutil.rmtree(root / "checkpoints" / str(step))
    for path in root.glob("evaluation*"):
        if path.suffix != ".jsonl":
            path.unlink()
    return root


COUNTED = (("bad record", "unreadable image"), ("negatives", "swap_words: made"))


def total(records, kind, outcome):
    return sum(count for of, reason, count in records if of == kind and outcome in reason)


def test_a_killed_run_ends_bit_equal_with_all_that_it_counted(whole, stopped, settings):
    printed = execute(stopped, settings())
    assert "continuing from step 4" in printed
    assert_same_state(stopped, whole[0], 8)
    assert losses(stopped) == losses(whole[0])
    early, late = (state_of(whole[0], step)[1]["records"] for step in (4, 8))
    for key in COUNTED:
        assert 0 < total(early, *key) < total(late, *key)
    bad, made = (total(late, *key) for key in COUNTED)
    for line in (f"replaced {bad} bad records: ", f"negatives: {made} x swap_words: made"):
        assert line in printed
        assert line in whole[1]
    evaluations = [(root / "evaluation.json").read_text() for root in (stopped, whole[0])]
    assert evaluations[0] == evaluations[1]


def test_a_run_that_diverges_saves_nothing_broken_and_goes_back(whole, settings, tmp_path):
    root = shutil.copytree(whole[0], tmp_path / "run")
    wild, calm = (settings(optimizer__learning_rate=rate) for rate in (1e38, 1e-4))
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate: 0\.001 -> 1e\+38"):
        open_run(root, wild)
    run, said = open_run(root, wild, from_step=4)
    with pytest.raises(DivergedError) as stop:
        run.execute()
    told = rf"step \d: .* is (nan|inf).*; {root}/spikes/step_\d\.npz has its batch\n"
    assert re.search(told, said.getvalue())
    assert str(stop.value).startswith("training diverged: not all numbers are finite at step ")
    assert "; the checkpoint of step 4 is the newest. Launch again with a lower config" in str(
        stop.value
    )
    assert names(root / "checkpoints") == ["4"]
    assert names(root / "put_aside_1") == ["6", "8"]

    printed = execute(root, calm, from_step=4)
    assert "continuing from step 4" in printed
    assert names(root / "checkpoints") == ["4", "6", "8"]
    assert [step for step, _ in losses(root)] == list(range(1, 9))
    assert all(np.isfinite(leaf).all() for leaf in state_of(root, 8)[0].values())
    assert "continuing from step 8" in execute(root, calm)
    assert not (root / "put_aside_2").exists()


def test_a_checkpoint_that_is_not_finite_is_not_gone_on_from(stopped, settings):
    """No run saves one, but what others write may be."""
    run, _ = open_run(stopped, settings())
    state = run.checkpoints.restore(4, checkpoint_items(run.setup.abstract))
    state["model"] = jax.tree.map(lambda leaf: leaf * np.nan, state["model"])
    described = run.checkpoints.description(4)
    items = described.pop("items")
    run.checkpoints.save(
        5,
        {name: state[name] for name in items},
        progress=run.checkpoints.progress(4),
        description=described,
    )
    run.checkpoints.close()
    run, _ = open_run(stopped, settings())
    with pytest.raises(DivergedError, match=r"finite at step 5; .* and --from-step"):
        run.execute()
    assert open_run(stopped, settings(), from_step=4)[0].step == 4


def test_only_saved_steps_can_be_gone_back_to(whole, settings, tmp_path):
    with pytest.raises(CheckpointError, match=r"--from-step=3: .*checkpoints has: 4, 6, 8$"):
        open_run(whole[0], settings(), from_step=3)
    with pytest.raises(CheckpointError, match=r"--from-step=3: .*checkpoints has: none$"):
        open_run(tmp_path / "fresh", settings(), from_step=3)
    with pytest.raises(CheckpointError, match=r"at step 8 already, beyond config\.total_steps 7"):
        open_run(whole[0], settings(total_steps=7))


def add_a_picture(folder):
    Image.new("RGB", (20, 20)).save(folder / "images" / "more.jpg")
    with (folder / "captions.txt").open("a") as file:
        file.write("\nmore.jpg,one more\n")
    splits = json.loads((folder / "splits.json").read_text())
    splits["train"].append("more.jpg")
    (folder / "splits.json").write_text(json.dumps(splits))


def test_a_run_goes_on_with_the_same_pictures_wherever_they_lie(stopped, settings, album, tmp_path):
    moved = shutil.copytree(album, tmp_path / "elsewhere")
    run, _ = open_run(stopped, settings(data__path=moved))
    assert run.step == 4
    add_a_picture(moved)
    refusal = r"cannot go on as it was:\n  the sources of config\.streams\.captions hold other rec"
    with pytest.raises(CheckpointError, match=refusal):
        open_run(stopped, settings(data__path=moved))


def test_a_run_keeps_the_commit_of_the_hub_that_it_started_from(stopped, settings):
    commit, other = "0123456789" * 4, "abcde01234" * 4
    saved = Workdir(stopped).read_config() | {"init_from": f"org/base@{commit}"}
    (stopped / "config.json").write_text(json.dumps(saved))
    for same in ("org/base", "org/base@main", f"org/base@{commit}"):  # the hub is not looked at
        run, _ = open_run(stopped, settings(init_from=same))
        assert run.experiment.init_from == f"org/base@{commit}"
    with pytest.raises(ConfigError, match=rf"init_from: 'org/base@{commit}' -> 'org/base@{other}'"):
        open_run(stopped, settings(init_from=f"org/base@{other}"))


def test_other_precision_is_refused_and_the_same_may_be_spelt_out(stopped, settings):
    with pytest.raises(CheckpointError, match="it computed in float32, and this platform would in"):
        open_run(stopped, settings(execution__dtype="bfloat16"))
    assert open_run(stopped, settings(execution__dtype="float32"))[0].step == 4


@pytest.fixture
def few_samples(monkeypatch):
    monkeypatch.setattr(captions_config, "SAMPLED_ROWS", 16)


def test_a_run_keeps_the_text_slots_that_it_found(settings, few_samples, monkeypatch, tmp_path):
    auto = settings(streams__captions__text_slots="auto", total_steps=2)
    execute(tmp_path, auto)
    saved = state_of(tmp_path, 2)[1]["promises"]["streams"]["captions"]["resolved"]["text_slots"]
    monkeypatch.setattr(captions_config, "choose_slots", lambda *_, **__: TextSlots(8, (8,), (7,)))
    again, fresh = (open_run(root, auto)[0] for root in (tmp_path, tmp_path / "fresh"))
    assert fresh.streams["captions"].slots.lengths == (7,)
    assert list(again.streams["captions"].slots.lengths) == saved["lengths"] != [7]


def test_rows_say_which_weights_they_are_of(whole, album, tmp_path):
    own = json.loads((whole[0] / "evaluation.json").read_text())
    assert {row["weights"] for row in own["results"]} == {"raw", "average"}
    assert "R@1, average weights" in whole[1]
    workdir = Workdir(shutil.copytree(whole[0], tmp_path / "run"))
    for path in workdir.root.glob("evaluation*"):
        path.unlink()
    config = workdir.read_config()
    config["data"]["path"] = str(shutil.copytree(album, tmp_path / "moved" / "album"))
    evaluate_workdir(workdir, settings=config)
    assert json.loads(workdir.evaluation.read_text()) == own
    for name in ("evaluation.npz", "evaluation_average.npz"):
        assert (workdir.root / name).read_bytes() == (whole[0] / name).read_bytes()
    with pytest.raises(ConfigError, match=r"holds a run with another config:\n  seed: 0 -> 1"):
        evaluate_workdir(workdir, settings=workdir.read_config() | {"seed": 1})


def test_every_evaluation_on_the_way_leaves_its_rows_and_a_curve(whole):
    lines = Workdir(whole[0]).read_evaluations()
    assert [line["step"] for line in lines] == [3, 6, 8]
    assert lines[-1]["results"] == json.loads((whole[0] / "evaluation.json").read_text())["results"]
    assert "Evaluation on the way" in (whole[0] / "report.html").read_text()


def test_a_run_tells_where_its_time_went(whole):
    (line,) = Workdir(whole[0]).read_sessions()
    assert (line["start"], line["step"]) == (0, 8)
    assert all(line["seconds"][part] > 0 for part in ("steps", "compile", "checkpoint"))
    assert "Where the time went" in (whole[0] / "report.html").read_text()
    assert re.search(r"\ntime: \d+ s: \d+% ", whole[1])


class Stop(Exception):
    """In the place of training."""


def test_a_resumed_run_reads_no_held_out_picture_unless_the_data_have_changed(
    stopped, settings, album, monkeypatch, tmp_path
):
    read = []
    prepare = EvaluationTransform.prepare

    def counted(self, picture):
        read.append(picture.name)
        return prepare(self, picture)

    def no_training(*_, **__):
        raise Stop

    monkeypatch.setattr(EvaluationTransform, "prepare", counted)
    monkeypatch.setattr("kgclip_jax.run.train", no_training)

    def start(**changes):
        read.clear()
        run, printed = open_run(stopped, settings(**changes))
        with pytest.raises(Stop):
            run.execute()
        return len(read), "evaluation is tried before training: 5 pic" in printed.getvalue()

    assert start() == (0, False)
    moved = shutil.copytree(album, tmp_path / "moved")
    assert start(data__path=moved) == (5, True)
    assert start(data__path=moved) == (0, False)
    captions = (moved / "captions.txt").read_text()
    (moved / "captions.txt").write_text(captions.replace("0.jpg,", "0.jpg,now ", 1))
    assert start(data__path=moved) == (5, True)


def test_held_out_sets_that_cannot_be_evaluated_on_end_a_run_before_it_begins(
    album, settings, tmp_path
):
    moved = shutil.copytree(album, tmp_path / "album")
    (moved / "images" / "0.jpg").write_bytes(b"\xff\xd8 torn")  # held out
    with pytest.raises(DataError, match=r"album/dev: unreadable image: 1 of 5, above the share"):
        execute(tmp_path / "run", settings(data__path=moved))
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_an_error_beside_the_steps_loses_none_of_them(whole, settings, monkeypatch, tmp_path):
    """The disk takes checkpoints, but not the evaluation of step 3."""

    def refuse(*_, **__):
        raise UserError("cannot write evaluation.json")

    root = tmp_path / "run"
    run, printed = open_run(root, settings())
    with monkeypatch.context() as patch:
        patch.setattr("kgclip_jax.run.record_evaluation", refuse)
        with pytest.raises(UserError, match=r"cannot write evaluation\.json"):
            run.execute()
    assert "step 3 is saved" in printed.getvalue()
    assert names(root / "checkpoints") == ["2", "3"]
    assert "continuing from step 3" in execute(root, settings())
    assert_same_state(root, whole[0], 8)
    assert losses(root) == losses(whole[0])


def test_another_length_of_training_is_told_by_what_becomes_of_the_rate(stopped, settings):
    cosine = {"optimizer__schedule__kind": "cosine"}
    config = json.loads((stopped / "config.json").read_text())
    config["optimizer"]["schedule"]["kind"] = "cosine"
    (stopped / "config.json").write_text(json.dumps(config))
    assert open_run(stopped, settings(**cosine))[0].changed_rate is None
    run, _ = open_run(stopped, settings(**cosine, total_steps=16))
    assert run.changed_rate == (
        "config.total_steps 8 -> 16: the learning rate of step 5 is 0.000854 now; it was to be "
        "0.0005"
    )


def test_sections_are_switched_on_and_off(settings, tmp_path):
    """An objective is added and negatives of another kind; evaluation on the way is left out."""
    changed = settings(
        objectives__ce_clip__weight=0.5,
        streams__captions__negatives__kinds__shuffle=1,
        evaluate_every=None,
        total_steps=1,
    )
    execute(tmp_path / "on", changed)
    (line,) = Workdir(tmp_path / "on").read_metrics()
    assert line["loss"] == pytest.approx(line["contrastive/loss"] + 0.5 * line["ce_clip/loss"])
    off = settings(streams__captions__negatives=None)
    with pytest.raises(ConfigError, match=r"has no negatives; set config\.streams\.captions\.neg"):
        open_run(tmp_path / "off", off)
    read_by_none = settings(objectives__contrastive__negatives=False)
    with pytest.raises(ConfigError, match=r"streams\.captions\.negatives is read by none"):
        open_run(tmp_path / "off", read_by_none)
    assert not (tmp_path / "off" / "config.json").exists()
