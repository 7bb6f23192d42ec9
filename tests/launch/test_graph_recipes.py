"""Knowledge-CLIP's recipe; test_recipes.py trains on all of its losses."""

import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import open_trained
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.training.optimizer import param_groups
from tests.launch.recipe_runs import get_config, make_things


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_things(tmp_path_factory.mktemp("things"))


def test_knowledge_clip_has_the_settings_of_the_paper(made_by_torch, graph):
    values = get_config("knowledge_clip")(f"{made_by_torch},{graph.folder}")
    settings = config.experiment(values.to_dict())
    assert settings.init_from == settings.teachers["original"].init_from == str(made_by_torch)
    assert settings.model == open_trained(made_by_torch).shape
    shape = settings.heads["fusion"].transformer
    assert (shape.depth, shape.width) == (4, 1024)
    assert (settings.heads["fusion"].masking, settings.heads["fusion"].drop_path) == ("zeros", 0.1)
    assert {objective.weight for objective in settings.objectives.values()} == {1.0}
    assert {*settings.objectives} == {"triplets", "graph", "distillation"}
    triplets = settings.objectives["triplets"]
    assert (triplets.entity_weight, triplets.relation_weight) == (1, 1)
    params = {
        "model": Model(settings.model).abstract(),
        "adapters": {},
        "heads": {"fusion": {"kernel": np.zeros((2, 2))}},
    }
    groups = param_groups(settings.optimizer, settings.tuning, params)
    rates = {path: g.learning_rate * settings.optimizer.learning_rate for path, g in groups.items()}
    assert {rate for path, rate in rates.items() if path.startswith("model/")} == {1e-5}
    assert rates["heads/fusion/kernel"] == pytest.approx(1e-3)


@pytest.mark.parametrize("arguments", ["", ",", ",GRAPH,safer"])
def test_mistaken_arguments_are_refused(made_by_torch, arguments):
    with pytest.raises(ConfigError, match="give SOURCE,GRAPH or SOURCE,GRAPH,safe"):
        get_config("knowledge_clip")(f"{made_by_torch}{arguments}")
