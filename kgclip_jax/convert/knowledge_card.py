"""What the model card says of a knowledge encoder, and how it is used in PyTorch."""

from pathlib import Path

from kgclip_jax.convert import knowledge
from kgclip_jax.convert.family import Format
from kgclip_jax.models import spec

_TEXT = """\
With this model comes the knowledge-enhanced encoder of Structure-CLIP (Huang et al., AAAI 2024,
arXiv 2305.06152). It reads the scene graph of a text, and adds what that says to the text's
embedding. The libraries that read this folder do not know it. It is a module of torch in
`{module}`, with its settings in `{file}` and its weights in
`{extra_file}`{tokenizer}.

- A text of unit embedding t, whose scene graph is encoded as k, has the embedding
  t + {weight:g} k / ||k||. **It is not of unit length; do not normalise it.** Scores are dot
  products with the unit embeddings of pictures. A text without triples keeps the embedding t.
- A scene graph is a list of (subject, relation, object) triples: its relations, then its
  attributes as (object, "is", attribute), in the words of the text, not in their base forms:
  ("dogs", "to the left of", "car"). Of more than {triples} the first {triples} are read.
{converses}- In training and for held-out texts, {graphs}.
- The encoder has {depth} blocks of width {width}, and takes the output of {readout}.

```python
{code}
```"""

_CONVERSES = """\
- Relations that `converses` of `{file}` lists are read by their canonical names,
  converses turned round; `tokens_of` does so.
"""

_CODE = """\
import sys

{imports}

sys.path.append("{name}")
from knowledge_encoder import KnowledgeEncoder

{model}
knowledge = KnowledgeEncoder.from_folder("{name}")
{tokenize}


def embed(captions, graphs):
{plain}
    tokens, mask = knowledge.tokens_of(graphs, tokenize)
    return knowledge(plain, tokens, mask{table})


captions = ["a small dog on a red sofa", "a cat"]
graphs = [[("dog", "on", "sofa"), ("dog", "is", "small"), ("sofa", "is", "red")], []]
with torch.no_grad():
    texts = embed(captions, graphs)"""

_IMPORTS: dict[Format, tuple[str, ...]] = {
    "huggingface": (
        "from torch.nn import functional",
        "from transformers import AutoModel, AutoTokenizer",
    ),
    "open_clip": ("import open_clip",),
    "openai": ("import clip  # github.com/openai/CLIP", "from torch.nn import functional"),
}
_MODEL: dict[Format, str] = {
    "huggingface": """\
model = AutoModel.from_pretrained("{name}")
tokenizer = AutoTokenizer.from_pretrained("{name}")""",
    "open_clip": """\
model, _, _ = open_clip.create_model_and_transforms("local-dir:{name}")
tokenizer = open_clip.get_tokenizer("local-dir:{name}")""",
    "openai": 'model, _ = clip.load("{name}/model.pt", device="cpu")',
}
_PLAIN: dict[Format, str] = {
    "huggingface": """\
    inputs = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
    features = model.get_text_features(input_ids=inputs["input_ids"])
    features = getattr(features, "pooler_output", features)  # transformers 4 returns a tensor
    plain = functional.normalize(features, dim=-1)""",
    "open_clip": "    plain = model.encode_text(tokenizer(captions), normalize=True)",
    "openai": """\
    tokens = clip.tokenize(captions, context_length={context_length}, truncate=True)
    plain = functional.normalize(model.encode_text(tokens), dim=-1)""",
}
_TOKENIZE: dict[Format, str] = {
    "huggingface": """

def tokenize(elements):
    cut = {{"truncation": True, "max_length": knowledge.element_length}}
    rows = tokenizer(elements, padding="max_length", **cut, return_tensors="pt")
    return rows["input_ids"]""",
    "open_clip": """

def tokenize(elements):
    return tokenizer(elements, context_length=knowledge.element_length)""",
    "openai": """

def tokenize(elements):
    return clip.tokenize(elements, context_length=knowledge.element_length, truncate=True)""",
}
_TOKENIZE_PIECES = """\
pieces = tokenizers.Tokenizer.from_file("{name}/element_tokenizer.json")


def tokenize(elements):
    return [row.ids for row in pieces.encode_batch(elements)]"""


def section(
    name: str, format: Format, shape: spec.DualEncoder, extra_file: str, parser: str | None
) -> str | None:
    """Describe the knowledge encoder of an exported folder; None where the model has none.

    Args:
        name: of the folder.
        format: whose libraries read it.
        shape: the architecture.
        extra_file: where the encoder's weights are.
        parser: the spaCy pipeline of its training captions; None for exact graphs.
    """
    encoder = shape.knowledge
    if encoder is None:
        return None
    of_pieces = encoder.elements == "wordpiece"
    return _TEXT.format(
        module=knowledge.MODULE,
        file=knowledge.FILE,
        extra_file=extra_file,
        tokenizer=f"; `{knowledge.TOKENIZER}` splits its words" if of_pieces else "",
        weight=encoder.weight,
        triples=encoder.triples,
        converses=_CONVERSES.format(file=knowledge.FILE) if encoder.converses else "",
        depth=encoder.transformer.depth,
        width=encoder.transformer.width,
        graphs="all texts had exact graphs, known with the pictures"
        if parser is None
        else "texts had the graphs that their sources come with, or else those of kgclip_jax's "
        f"parser over the spaCy pipeline `{Path(parser).name}`; parse your own texts with the same",
        readout="the first triple" if encoder.readout == "first" else "all triples on average",
        code=_code(name, format, shape, of_pieces),
    )


def _code(name: str, format: Format, shape: spec.DualEncoder, of_pieces: bool) -> str:
    """The example: elements are split by a tokenizer of their own, or by the text tower's."""
    imports = ["import torch", *_IMPORTS[format], *(["import tokenizers"] if of_pieces else [])]
    tokenize = _TOKENIZE_PIECES if of_pieces else _TOKENIZE[format]
    return _CODE.format(
        name=name,
        imports="\n".join(sorted(imports, key=lambda line: line.split()[1])),
        model=_MODEL[format].format(name=name),
        tokenize=tokenize.format(name=name),
        plain=_PLAIN[format].format(context_length=shape.text.context_length),
        table="" if of_pieces else f", table={_table(format, shape)}",
    )


def _table(format: Format, shape: spec.DualEncoder) -> str:
    """Where the libraries keep the text tower's token embeddings."""
    if format == "huggingface":
        return "model.text_model.embeddings.token_embedding.weight"
    siglip = shape.vision.pooling == "map"  # open_clip has its text tower apart
    return f"model{'.text' if siglip else ''}.token_embedding.weight"
