"""What PyTorch users do with a knowledge encoder, in a process without JAX and without network.

    python torch_knowledge_reader.py TEXTS.json FOLDER...

TEXTS.json holds captions and their triples. Runs the example of each folder's model card, and
writes to FOLDER.npz what it computes (`example`) and what its function does with TEXTS (`texts`).
OpenAI's own package is not installed; open_clip, which loads its files, stands in for it.
"""

import json
import os
import socket
import sys
import types
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.torchvision_operators import make_torchvision_importable


def refuse(*_):
    raise AssertionError("no network here")


def clip_package():
    import open_clip

    def tokenize(texts, context_length=77, truncate=False):
        assert truncate
        return open_clip.SimpleTokenizer(context_length=context_length)(texts)

    package = types.ModuleType("clip")
    package.load = lambda file, device: (
        open_clip.load_openai_model(file, precision="fp32", device=device),
        None,
    )
    package.tokenize = tokenize
    return package


def run_example(folder, captions, graphs):
    """Do what the card says, in the folder above."""
    section = (folder / "README.md").read_text().split("\n## Knowledge encoder\n")[1]
    os.chdir(folder.parent)
    found = {}
    exec(section.split("```python\n")[1].split("```")[0], found)
    with torch.no_grad():
        texts = found["embed"](captions, graphs)
    sys.path.remove(folder.name)
    del sys.modules["knowledge_encoder"]  # the next folder has its own
    return {"example": found["texts"], "texts": texts}


def main(texts, *folders):
    sys.modules["jax"] = sys.modules["kgclip_jax"] = None  # as if not installed
    socket.socket.connect = refuse
    make_torchvision_importable()
    sys.modules["clip"] = clip_package()
    captions, graphs = json.loads(Path(texts).read_text())
    for folder in map(Path, folders):
        found = run_example(folder, captions, graphs)
        np.savez(f"{folder}.npz", **{name: value.numpy() for name, value in found.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
