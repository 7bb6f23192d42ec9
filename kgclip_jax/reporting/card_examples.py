"""What the model card says of a folder's use in PyTorch, and of a knowledge encoder in it."""

from kgclip_jax.convert import knowledge
from kgclip_jax.convert.export import EXTRA_FILE, Contents

_LOAD = {
    "huggingface": """\
import torch
from transformers import AutoModel, AutoProcessor

model = AutoModel.from_pretrained("{name}")
processor = AutoProcessor.from_pretrained("{name}")""",
    "open_clip": """\
import open_clip
import torch

model, _, preprocess = open_clip.create_model_and_transforms("local-dir:{name}")
tokenizer = open_clip.get_tokenizer("local-dir:{name}")""",
    "openai": """\
import clip  # github.com/openai/CLIP; it rounds the weights, which are in single precision, to half
import torch

model, preprocess = clip.load("{name}/model.pt", device="cpu")""",
}
_SCORE = {
    "huggingface": """\
inputs = processor(
    text=["a dog", "a cat"],
    images=Image.open("picture.jpg"),
    padding="max_length",
    truncation=True,
    return_tensors="pt",
)
with torch.no_grad():
    probabilities = model(**inputs).logits_per_image.{probability}""",
    "open_clip": """\
with torch.no_grad():
    images = model.encode_image(preprocess(Image.open("picture.jpg"))[None], normalize=True)
    texts = model.encode_text(tokenizer(["a dog", "a cat"]), normalize=True)
cosines = images @ texts.T""",
    "openai": """\
texts = clip.tokenize(["a dog", "a cat"], context_length={length}, truncate=True)
with torch.no_grad():
    images = preprocess(Image.open("picture.jpg"))[None]
    probabilities = model(images, texts)[0].softmax(dim=-1)""",
}
_PLAIN = {
    "huggingface": """\
    cut = {{"padding": "max_length", "truncation": True, "return_tensors": "pt"}}
    features = model.get_text_features(processor.tokenizer(captions, **cut)["input_ids"])
    features = getattr(features, "pooler_output", features)  # transformers 4 returns a tensor
    plain = torch.nn.functional.normalize(features, dim=-1)""",
    "open_clip": "    plain = model.encode_text(tokenizer(captions), normalize=True)",
    "openai": """\
    texts = clip.tokenize(captions, context_length={length}, truncate=True)
    plain = torch.nn.functional.normalize(model.encode_text(texts), dim=-1)""",
}
_TOKENIZE = {
    "huggingface": """\
    cut = {{"padding": "max_length", "truncation": True, "return_tensors": "pt"}}
    longest = knowledge.element_length
    return processor.tokenizer(elements, max_length=longest, **cut)["input_ids"]""",
    "open_clip": "    return tokenizer(elements, context_length=knowledge.element_length)",
    "openai": """\
    return clip.tokenize(elements, context_length=knowledge.element_length, truncate=True)""",
    "wordpiece": """\
    pieces = tokenizers.Tokenizer.from_file("{name}/element_tokenizer.json")
    return [row.ids for row in pieces.encode_batch(elements)]""",
}
_CODE = """\
import sys

{load}

sys.path.append("{name}")
from knowledge_encoder import KnowledgeEncoder

knowledge = KnowledgeEncoder.from_folder("{name}")


def tokenize(elements):
{tokenize}


def embed(captions, graphs):
{plain}
    tokens, mask = knowledge.tokens_of(graphs, tokenize)
    return knowledge(plain, tokens, mask{table})


captions = ["a small dog on a red sofa", "a cat"]
graphs = [[("dog", "on", "sofa"), ("dog", "is", "small"), ("sofa", "is", "red")], []]
with torch.no_grad():
    texts = embed(captions, graphs)"""
_KNOWLEDGE = """\
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
_EXACT = "all texts had exact graphs, known with the pictures"
_PARSED = (
    "texts had the graphs that their sources come with, or else those of kgclip_jax's parser over "
    "the spaCy pipeline `{parser}`; parse your own texts with the same"
)
_CONVERSES = f"""\
- Relations that `converses` of `{knowledge.FILE}` lists are read by their canonical names,
  converses turned round; `tokens_of` does so.
"""


def usage_example(name: str, contents: Contents) -> str:
    """Show how a folder called `name` is loaded and used, as Markdown."""
    has_bias = contents.shape.logit_bias is not None and "logit_bias" not in contents.left_out
    load, score = (
        part.format(
            name=name,
            length=contents.shape.text.context_length,
            probability="sigmoid()" if has_bias else "softmax(dim=-1)",
        )
        for part in (_LOAD[contents.format], _SCORE[contents.format])
    )
    return f"```python\nfrom PIL import Image\n{load}\n\n{score}\n```"


def knowledge_example(name: str, contents: Contents, parser: str | None) -> str:
    """Describe the knowledge encoder of a folder called `name`; "" where the model has none.

    `parser` is the spaCy pipeline of its training captions; None for exact graphs.
    """
    encoder = contents.shape.knowledge
    if encoder is None:
        return ""
    of_pieces = encoder.elements == "wordpiece"
    load = _LOAD[contents.format] + ("\nimport tokenizers" if of_pieces else "")
    return _KNOWLEDGE.format(
        module=knowledge.MODULE,
        file=knowledge.FILE,
        extra_file=EXTRA_FILE,
        tokenizer=f"; `{knowledge.TOKENIZER}` splits its words" if of_pieces else "",
        weight=encoder.weight,
        triples=encoder.triples,
        converses=_CONVERSES if encoder.converses else "",
        depth=encoder.transformer.depth,
        width=encoder.transformer.width,
        graphs=_PARSED.format(parser=parser) if parser else _EXACT,
        readout="the first triple" if encoder.readout == "first" else "all triples on average",
        code=_CODE.format(
            name=name,
            load=load.format(name=name),
            tokenize=_TOKENIZE["wordpiece" if of_pieces else contents.format].format(name=name),
            plain=_PLAIN[contents.format].format(length=contents.shape.text.context_length),
            table="" if of_pieces else f", table={_table(contents)}",
        ),
    )


def _table(contents: Contents) -> str:
    """Where the libraries keep the text tower's token embeddings."""
    if contents.format == "huggingface":
        return "model.text_model.embeddings.token_embedding.weight"
    siglip = contents.shape.vision.pooling == "map"  # open_clip has its text tower apart
    return f"model{'.text' if siglip else ''}.token_embedding.weight"
