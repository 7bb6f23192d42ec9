"""Settings on the command line: what they change, and what is refused in one line."""

from pathlib import Path

import pytest
from absl import flags

from kgclip_jax import command_line, config, schema
from kgclip_jax.config_file import load_config
from kgclip_jax.errors import ConfigError
from tests.test_config import SHIPPED

QUICKSTART = "--config=configs/quickstart.py"


@pytest.fixture
def parse():
    """Parse arguments as a launcher with `--config` and `--step` does; returns the settings."""
    holder = command_line.define_config("A config.")
    flags.DEFINE_integer("step", 0, "A number.")

    def parse(*arguments):
        command_line.parse_flags(["launch/train.py", *arguments])
        return holder.value.values

    yield parse
    for name in ("config", "step"):
        delattr(flags.FLAGS, name)


@pytest.fixture
def parse_path():
    """Parse arguments as a launcher with `--output` does; returns the path."""
    holder = command_line.define_path("output", "A folder.")

    def parse_path(*arguments):
        command_line.parse_flags(["launch/export.py", *arguments])
        return holder.value

    yield parse_path
    delattr(flags.FLAGS, "output")


def test_paths_know_the_home_folder_and_buckets_are_refused(parse_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", "/home/me")
    assert parse_path() is None
    assert parse_path("--output=~/x") == Path("/home/me/x")
    assert parse_path("--output=a/~/b") == Path("a/~/b")
    for wrong, said in {"gs://bucket/x": "gs:// cannot be read", "~nobody-here/x": "home"}.items():
        with pytest.raises(SystemExit) as stop:
            parse_path(f"--output={wrong}")
        assert stop.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert wrong in line
        assert said in line


@pytest.mark.parametrize(
    "key",
    [
        "data.path",
        "streams.captions.sources.photographs.folder",
        "streams.captions.sources.photographs.graphs",
        "streams.captions.sources.photographs.scene_graphs",
        "streams.captions.negatives.hierarchy",
    ],
)
def test_paths_in_a_config_do_too(parse, monkeypatch, key):
    monkeypatch.setenv("HOME", "/home/me")
    kinds = "--config.streams.captions.negatives.kinds.replace_object=1"
    graphs = "--config.streams.captions.sources.photographs.graphs=graphs"
    base = ("--config=configs/flickr8k.py", kinds, graphs)
    experiment = config.experiment(parse(*base, f"--config.{key}=~/x"))
    assert f"'{key.rpartition('.')[2]}': '/home/me/x'" in str(schema.to_dict(experiment))
    refusal = f"config.{key}: s3://a/b: s3:// cannot be read or written yet; mount"
    with pytest.raises(ConfigError, match=refusal):
        config.experiment(parse(*base, f"--config.{key}=s3://a/b"))


def texts(settings, path="--config"):
    """Yield each setting as an argument of the command line."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from texts(value, f"{path}.{key}")
        else:
            yield f"{path}.{key}={value}"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_setting_of_a_shipped_config_can_be_given(parse, path):
    experiment = config.experiment(load_config(str(path)).values)
    given = parse(f"--config={path}", *texts(schema.to_dict(experiment)))
    assert config.experiment(given) == experiment


@pytest.mark.parametrize(
    ("arguments", "place", "value"),
    [
        (["--config.seed=5", "--config.seed=6"], "seed", 6),
        (["--config.seed", "5", "--step=3"], "seed", 5),
        (
            ["--config.model.logit_bias", "-10", "--config.objectives.contrastive.form=sigmoid"],
            "model.logit_bias",
            -10.0,
        ),
        (["--config.resize_positions", "False"], "resize_positions", False),
        (["--config.optimizer.clip_norm=None"], "optimizer.clip_norm", None),
        (["--config.optimizer.clip_norm", "2"], "optimizer.clip_norm", 2.0),
        (
            ["--config.streams.captions.sources.emoji.world.families='size',"],
            "streams.captions.sources.emoji.world.families",
            ("size",),
        ),
        (["--config.evaluate_every=7", "--config.evaluate_every=None"], "evaluate_every", None),
        (["--config.init_from=a=b"], "init_from", "a=b"),
        (["--config.execution.microbatches=2"], "execution.microbatches", 2),
        (
            ["--config.model.knowledge.weight=1", "--config.model.knowledge=None"],
            "model.knowledge",
            None,
        ),
        (
            ["--config.mesh={'fsdp': 2}", "--config.mesh.data=1"],
            "mesh",
            {"data": 1, "fsdp": 2, "tensor": 1},
        ),
        (
            ["--config.streams.captions.sources.emoji.world.scenes=99"],
            "streams.captions.sources.emoji.world.scenes",
            99,
        ),
    ],
)
def test_arguments_change_settings(parse, arguments, place, value):
    setting = schema.to_dict(config.experiment(parse(QUICKSTART, *arguments)))
    for key in place.split("."):
        setting = setting[key]
    assert setting == value


def test_a_config_may_follow_its_changes_as_an_argument_of_its_own(parse):
    assert parse("--config.seed=5", "--config", "configs/quickstart.py")["seed"] == "5"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([QUICKSTART, "config.seed=5"], "unexpected argument 'config.seed=5'; settings are given"),
        ([QUICKSTART, "--", "--config.seed=5"], "unexpected argument '--config.seed=5'"),
        ([QUICKSTART, "--config.seed"], "--config.seed needs a value: --config.seed=VALUE"),
        ([QUICKSTART, "--config.seed", "--step=1"], "--config.seed needs a value"),
        ([QUICKSTART, "--stop=1"], "Unknown command line flag 'stop'. Did you mean: step ?"),
        (["--config.seed=5"], "--config.seed needs a config to change: --config=FILE"),
        (["--config=configs/quikstart.py"], "there is no config file configs/quikstart.py"),
    ],
)
def test_mistakes_end_in_one_line(parse, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        parse(*arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert line.startswith(f"error: {message}")
