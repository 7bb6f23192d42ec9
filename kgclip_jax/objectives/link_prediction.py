"""Link prediction by a table of entities: find the missing end of a triple by its number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32

from kgclip_jax.batch import EdgeBlock
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.entity_table import EntityTable
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import ABSENT
from kgclip_jax.objectives.triplets import check_relations
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import NonNegativeFloat
from kgclip_jax.schema import check


@dataclass(frozen=True)
class LinkPrediction:
    """Tell true ends from others; reads an `EdgeBlock`.

    form "all": softmax over all entities, for the tail and for the head (1-vs-all: Lacroix et al.,
    ICML 2018), averaged. form "sampled": true triples and negatives of the stream by their margin,
    hard ones weigh more (RotatE: Sun et al., ICLR 2019, equations 5 and 6):

        L = -1/2 [ log sigmoid(m + f) + sum_k p_k log sigmoid(-m - f_k) ]
        p = softmax_k(a f_k), without gradient

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of edges.
        heads: the entity table.
        form: which of the two.
        margin: m, added to the scores of sampled triples.
        adversarial_temperature: a; 0 weighs all negatives alike.
        regularisation: of the sum of cubes of what true triples are scored by (N3: Lacroix et al.).
    """

    kind: Literal["link_prediction"] = "link_prediction"
    weight: Weight = 1.0
    stream: str = "edges"
    heads: tuple[str, ...] = ("table",)
    form: Literal["all", "sampled"] = "all"
    margin: NonNegativeFloat = 6.0
    adversarial_temperature: NonNegativeFloat = 1.0
    regularisation: NonNegativeFloat = 0.0

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse more than one head."""
        check(len(self.heads) == 1, "heads: expected the name of one entity table")

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return the loss of each row.

        Raises:
            ConfigError: the table has other numbers of entities or relations than the graph, or
                sampled triples are wanted and the stream has none.
        """
        ((name, table),) = heads.items()
        check_relations(name, table.settings.relations, self.stream, context)
        entities = len(context.constants["entities"])
        if table.settings.entities != entities:
            raise ConfigError(
                f"config.heads.{name}.entities must be {entities}: those of the graph of "
                f"config.streams.{self.stream}"
            )
        if self.form == "all":
            losses = self._among_all(table, rows)
        elif rows.negatives.shape[1]:
            losses = self._among_sampled(table, rows)
        else:
            raise ConfigError(
                f"config.streams.{self.stream}.negatives must be positive for the form 'sampled'"
            )
        if self.regularisation:
            losses["regularisation"] = table.cubes(*_ends(rows))
        return losses

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """Average over rows."""
        means = {name: jnp.mean(values) for name, values in vectors.items()}
        loss = means.pop("loss")
        penalty = self.regularisation * means.get("regularisation", jnp.zeros(()))
        return Losses(loss + penalty, {"link_loss": loss, **means})

    def _among_all(self, table: EntityTable, rows: EdgeBlock) -> dict[str, Array]:
        head, relation, tail = _ends(rows)
        losses, found = [], []
        for given, wanted, of_head in ((head, tail, False), (tail, head, True)):
            query = table.query(given, relation, jnp.full(head.shape, of_head))
            scores = table.scores_of_all(query, table.entities[...])
            own = jnp.take_along_axis(scores, wanted[:, None], axis=1)[:, 0]
            losses.append(jax.nn.logsumexp(scores, axis=1) - own)
            found.append(own >= jnp.max(jax.lax.stop_gradient(scores), axis=1))
        accuracy = jnp.mean(jnp.stack(found).astype(jnp.float32), axis=0)
        return {"loss": (losses[0] + losses[1]) / 2, "accuracy": accuracy}

    def _among_sampled(self, table: EntityTable, rows: EdgeBlock) -> dict[str, Array]:
        (head, relation, tail), entities = _ends(rows), table.entities[...]
        mask = rows.negative_mask
        tails = table.query(head, relation, jnp.zeros(head.shape, bool))
        heads = table.query(tail, relation, jnp.ones(head.shape, bool))
        true = table.scores(tails, entities[tail][:, None])[:, 0]
        candidates = entities[rows.negatives]
        scores = table.scores(heads, candidates), table.scores(tails, candidates)
        wrong = jnp.where(rows.of_head, *scores)
        hardness = self.adversarial_temperature * jax.lax.stop_gradient(wrong)
        shares = jax.nn.softmax(jnp.where(mask, hardness, ABSENT), axis=1)
        apart = jnp.sum(shares * jax.nn.log_sigmoid(-self.margin - wrong), axis=1, where=mask)
        losses = -(jax.nn.log_sigmoid(self.margin + true) + apart) / 2
        better = jnp.mean((true[:, None] > wrong).astype(jnp.float32), axis=1, where=mask)
        return {"loss": losses, "accuracy": jnp.where(mask.any(axis=1), better, 1.0)}


def _ends(rows: EdgeBlock) -> Int32[Array, "3 b"]:
    """Return head, relation and tail."""
    return jnp.moveaxis(rows.ids, 1, 0)
