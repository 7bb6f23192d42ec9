"""Pictures and data sets made to do harm: each is refused in clear words, or read as what it is.

All readers keep within seconds and a gigabyte, open nothing outside the folder they were given, and
start nothing: see `cage`.
"""

import io
import pickle
import re
import struct
import tarfile
import zlib

import pytest

from tests.hostile.verdicts import NOISE, harmless, jpeg, picture, refused


def png(width, height, rows):
    """A PNG that says how large it is, around any compressed rows."""

    def chunk(kind, content):
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    )


def text_bomb():
    """A PNG with a compressed text of 256 MB."""
    text = b"iTXta\0\1\0\0\0" + zlib.compress(bytes(2**28), 9)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    whole = picture("PNG")
    return whole[:33] + chunk + whole[33:]


PICTURES = {
    "nothing": b"",
    "a page": b"<html><script>alert(1)</script></html>",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(ran) (w) file\n",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "half a JPEG": jpeg()[:200],
    "a JPEG of 65500 x 65500": re.sub(
        rb"(\xff\xc0..\x08)....", lambda m: m[1] + struct.pack(">HH", 65500, 65500), jpeg()
    ),
    "a PNG of 2 ** 30 pixels": png(2**15, 2**15, zlib.compress(bytes(2**20))),
    "a PNG of 2 ** 31 columns": png(2**31 - 1, 1, zlib.compress(bytes(2**20))),
    "a PNG without rows": png(0, 0, b""),
    "noise in a PNG": png(64, 64, NOISE[:100]),
    "a GIF of 65535 x 65535": b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",;",
    "a WebP that says 2 ** 32 bytes": b"RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff/"
    + b"\xff" * 99,
    "a TIFF in a circle": b"II*\0\x08\0\0\0\x00\0\x08\0\0\0",
    "a pickle": pickle.dumps({"a": 1}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(ask, folder, name):
    path = folder / "a.jpg"
    path.write_bytes(PICTURES[name])
    refused(ask("picture", path), "", folder)


def test_a_text_in_a_picture_is_not_unpacked(ask, folder):
    path = folder / "a.png"
    path.write_bytes(text_bomb())
    harmless(ask("picture", path), folder)


def listed(folder, *files):
    lines = ["image,caption", *(f"{file},a dog" for file in ("a.jpg", *files))]
    (folder / "captions.txt").write_text("\n".join(lines))
    (folder / "images").mkdir()
    (folder / "images" / "a.jpg").write_bytes(jpeg())


def test_pictures_elsewhere_are_skipped(ask, folder):
    listed(folder, "../../secret.jpg", str(folder.parent / "secret.jpg"), "b/../../../secret.jpg")
    answer = ask("photographs", folder)
    harmless(answer, folder)
    assert answer["message"] == f"[{len(jpeg())}]"
    (folder / "captions.txt").write_text("image,caption\n../../secret.jpg,a dog\n")
    refused(ask("photographs", folder), "picture outside of the folder: 1 of 1", folder)


@pytest.mark.parametrize(
    "content",
    [
        b"image,caption\n" + b'"' * 10**6,
        b"image,caption\na.jpg,\xff\n",
        b"image,caption\na.jpg,\0\n",
        b"image,caption\n" + b"a," * 10**6,
        b"",
    ],
    ids=["quotes", "Latin 1", "NUL", "columns", "empty"],
)
def test_lists_of_captions(ask, folder, content):
    (folder / "a.jpg").write_bytes(jpeg())
    (folder / "captions.txt").write_bytes(content)
    refused(ask("photographs", folder), "captions.txt|no usable pictures in", folder)


def member(name, content=b"", **options):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in options.items():
        setattr(info, key, value)
    return info, io.BytesIO(content)


GOOD = (("a.jpg", jpeg()), ("a.txt", b"a dog"))
LINK = {"linkname": "../secret.jpg"}
TARS = {
    "a path above": [member("../secret.jpg", jpeg()), member("../secret.txt", b"a cat")],
    "an absolute path": [member("/secret.jpg", jpeg()), member("/secret.txt", b"a cat")],
    "a link": [member("b.jpg", type=tarfile.SYMTYPE, **LINK), member("b.txt", b"a cat")],
    "a hard link": [member("b.jpg", type=tarfile.LNKTYPE, **LINK), member("b.txt", b"a cat")],
    "a device": [member("b.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=5)],
    "captions of 2 MB": [member("b.jpg", jpeg()), member("b.txt", b"a" * 2**21)],
    "deep captions": [member("b.jpg", jpeg()), member("b.json", b"[" * 10**5)],
    "a size of digits": [member("b.jpg", jpeg(), pax_headers={"size": "9" * 5000})],
    "a size below zero": [member("b.jpg", jpeg(), pax_headers={"size": "-512"})],
    "a size of 2 ** 60": [member("b.jpg", jpeg(), pax_headers={"size": str(2**60)})],
}


@pytest.mark.parametrize("name", TARS)
def test_tars(ask, folder, name):
    """What is whole in them is read, the rest is counted."""
    path = folder / "00000.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in [member(*each) for each in GOOD] + TARS[name]:
            archive.addfile(info, content)
    harmless(ask("tar", path), folder)


@pytest.mark.parametrize(
    "content",
    [b"", bytes(10240), NOISE, NOISE[:511], jpeg()],
    ids=["empty", "zeros", "noise", "less than a block", "a picture"],
)
def test_what_is_no_tar(ask, folder, content):
    path = folder / "00000.tar"
    path.write_bytes(content)
    refused(ask("tar", path), "00000.tar|folder", folder)
