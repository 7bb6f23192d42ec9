"""What is asked of every reader of hostile files, and pictures and noise to make them of."""

import io
import re

import numpy as np
from PIL import Image

NOISE = np.random.default_rng(0).bytes(10240)


def refused(answer, message, folder):
    """See that a file was refused in words, and that nothing was run or read beside the folder."""
    assert answer["outcome"] == "refused", answer["message"]
    assert re.search(message, answer["message"]), answer["message"]
    assert len(answer["message"]) < 2000
    harmless(answer, folder)


def harmless(answer, folder):
    assert answer["outcome"] in ("read", "refused"), answer["message"]
    assert not answer["opened"]
    assert not (folder.parent / "ran").exists()


def picture(kind, size=(8, 8), **options):
    file = io.BytesIO()
    Image.new("RGB", size, (200, 30, 60)).save(file, kind, **options)
    return file.getvalue()


def jpeg():
    return picture("JPEG")
