"""The knowledge-enhanced encoder of Structure-CLIP (Huang et al., AAAI 2024), for PyTorch.

It adds what the scene graph of a text says to the text's embedding. Needs torch and safetensors,
and the files beside it in an exported folder. From kgclip_jax, Apache-2.0.
"""

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

PREFIX = "knowledge_encoder."
"""Of the names of its weights in the file, which holds others too."""

Triple = tuple[str, str, str]


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "quick_gelu": _quick_gelu,
    "gelu_erf": functional.gelu,
    "gelu_tanh": functools.partial(functional.gelu, approximate="tanh"),
}


class KnowledgeEncoder(nn.Module):
    """Triples (h, r, t) -> vectors -> transformer without positions -> read-out -> projection.

    Args:
        settings: the content of `knowledge_encoder.json`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        encoder, shape = settings["encoder"], settings["encoder"]["transformer"]
        width, norm_eps = shape["width"], shape["norm_eps"]
        self.weight = encoder["weight"]
        self.triples = encoder["triples"]
        self.element_length = encoder["element_length"]
        self.end_id = settings["end_id"]
        self.combination_of = encoder["combination"]
        self.readout = encoder["readout"]
        self.canonical_names = {
            phrase: (phrases[0], inverse)
            for phrases, inverse_phrases in encoder["converses"]
            for inverse, group in ((False, phrases), (True, inverse_phrases))
            for phrase in group
        }
        self.has_own_table = encoder["elements"] == "wordpiece"
        if self.has_own_table:
            self.table = nn.Embedding(encoder["vocabulary"], width)
            self.positions = nn.Parameter(torch.zeros(self.element_length, width))
            self.token_type = nn.Parameter(torch.zeros(width))
            self.norm = nn.LayerNorm(width, norm_eps)
        if self.combination_of == "linear":
            self.combination = nn.Linear(3 * width, width)
        block = nn.TransformerEncoderLayer(
            width,
            shape["heads"],
            shape["mlp_width"],
            dropout=0.0,
            activation=ACTIVATIONS[shape["activation"]],
            layer_norm_eps=norm_eps,
            batch_first=True,
        )
        self.blocks = nn.TransformerEncoder(block, shape["depth"], enable_nested_tensor=False)
        self.projection = nn.Linear(width, settings["embedding"])

    @classmethod
    def from_folder(cls, folder: str | Path) -> "KnowledgeEncoder":
        """Build the encoder that an exported folder holds, with its weights, for inference."""
        folder = Path(folder)
        encoder = cls(json.loads((folder / "knowledge_encoder.json").read_text()))
        weights = load_file(folder / "kgclip_jax_extra.safetensors")
        own = {name: weights[name] for name in weights if name.startswith(PREFIX)}
        encoder.load_state_dict({name.removeprefix(PREFIX): own[name] for name in own})
        return encoder.eval()

    def forward(
        self, plain: Tensor, tokens: Tensor, mask: Tensor, table: Tensor | None = None
    ) -> Tensor:
        """Add what scene graphs say to text embeddings: t + weight k / ||k||.

        Args:
            plain: (texts, d) embeddings of unit length, as the text tower makes them.
            tokens: (texts, triples, 3, element_length) ids of subjects, relations and objects, -1
                where there is no token; see `tokens_of`.
            mask: (texts, triples), True where there is a triple.
            table: (vocabulary, width) the text tower's token embeddings; None for an encoder that
                has a table of its own.

        Returns:
            (texts, d) embeddings. They are not of unit length; do not normalise them. Those of
            texts without triples are the plain ones.
        """
        if self.has_own_table != (table is None):
            wanted = "no table, it has its own" if self.has_own_table else "the text tower's table"
            raise ValueError(f"this encoder takes {wanted}")
        some = mask.any(dim=1, keepdim=True)
        known = functional.normalize(self._encode(self._elements(tokens, table), mask), dim=-1)
        return plain + self.weight * some * known

    def tokens_of(
        self,
        graphs: Sequence[Iterable[Triple]],
        tokenize: Callable[[list[str]], Tensor | list[list[int]]],
    ) -> tuple[Tensor, Tensor]:
        """Turn scene graphs into the tokens and the mask that `forward` takes.

        Args:
            graphs: for each text its (subject, relation, object) triples, relations first, then
                attributes as (object, "is", attribute), all in the words of the text ("dogs",
                "riding"). It may have none; those beyond the first `triples` are not read. Here
                words get small letters and single spaces, and relations their canonical names.
            tokenize: from n strings to n rows of `element_length` ids, cut and padded.
        """
        chosen = [[self._canonical(triple) for triple in graph][: self.triples] for graph in graphs]
        elements = sorted({word for graph in chosen for triple in graph for word in triple})
        ids = dict(zip(elements, self._ids(elements, tokenize), strict=True)) if elements else {}
        tokens = torch.full((len(chosen), self.triples, 3, self.element_length), -1)
        mask = torch.zeros(len(chosen), self.triples, dtype=torch.bool)
        for row, graph in enumerate(chosen):
            for slot, triple in enumerate(graph):
                tokens[row, slot] = torch.stack([ids[word] for word in triple])
                mask[row, slot] = True
        device = self.projection.weight.device
        return tokens.to(device), mask.to(device)

    def _canonical(self, triple: Triple) -> Triple:
        """Give a relation its canonical name, and turn it round if it was told as its converse."""
        head, relation, tail = (" ".join(words.lower().split()) for words in triple)
        name, inverse = self.canonical_names.get(relation, (relation, False))
        return (tail, name, head) if inverse else (head, name, tail)

    def _ids(
        self, elements: list[str], tokenize: Callable[[list[str]], Tensor | list[list[int]]]
    ) -> Tensor:
        """Tokens of elements (n, element_length), -1 beyond the end if the tokenizer has one."""
        ids = torch.as_tensor(tokenize(elements)).cpu()
        if ids.shape != (len(elements), self.element_length):
            raise ValueError(
                f"tokenize made ids of shape {tuple(ids.shape)} of {len(elements)} strings; "
                f"each must have {self.element_length} ids"
            )
        if self.end_id is None:
            return ids
        ends = ids == self.end_id
        return ids.masked_fill(ends.cumsum(dim=1) > ends.long(), -1)

    def _elements(self, tokens: Tensor, table: Tensor | None) -> Tensor:
        """Average the tokens of each element: (texts, triples, 3, width)."""
        there = (tokens >= 0).unsqueeze(-1)
        ids = tokens.clamp(min=0)
        vectors = self._pieces(ids) if table is None else table[ids]
        return (vectors * there).sum(dim=-2) / there.sum(dim=-2).clamp(min=1)

    def _pieces(self, ids: Tensor) -> Tensor:
        """BERT's embedding layer, all tokens of its first type."""
        return self.norm(self.table(ids) + self.positions + self.token_type)

    def _combine(self, elements: Tensor) -> Tensor:
        """One vector a triple: (texts, triples, width)."""
        if self.combination_of == "linear":
            return self.combination(elements.flatten(start_dim=2))
        head, relation, tail = elements.unbind(dim=2)
        return head + relation + (tail if self.combination_of == "sum" else -tail)

    def _encode(self, elements: Tensor, mask: Tensor) -> Tensor:
        """Encode triples: (texts, d), without meaning for a text without triples."""
        # A text without triples sees its empty slots, since attention to nothing is not a number.
        hidden = ~mask & mask.any(dim=1, keepdim=True)
        y = self.blocks(self._combine(elements), src_key_padding_mask=hidden)
        if self.readout == "first":
            return self.projection(y[:, 0])
        there = mask.unsqueeze(-1)
        return self.projection((y * there).sum(dim=1) / there.sum(dim=1).clamp(min=1))
