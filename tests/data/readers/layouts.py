"""The same captioned pictures, written in every layout that a reader knows."""

import csv
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from kgclip_jax.data import sources as settings
from kgclip_jax.data.readers.array_records import pack_record
from kgclip_jax.data.readers.shard_manifest import Manifest, Shard, write_manifest


class Picture(NamedTuple):
    name: str
    content: bytes
    captions: list[str]


def drawn(count, captions=2, side=(30, 40)):
    """Pictures of noise, of a mean colour that tells them apart, in three formats."""
    rng = np.random.default_rng(0)
    pictures = []
    for index in range(count):
        colour = np.array([40 + 20 * (index % 10), 200 - 15 * (index % 10), 90])
        pixels = np.clip(colour + rng.integers(-9, 9, (*side, 3)), 0, 255).astype(np.uint8)
        suffix = ("jpg", "png", "webp")[index % 3]
        texts = [f"picture {index}, text {c}: été 猫" for c in range(captions)]
        pictures.append(Picture(f"{index:03}.{suffix}", encode(pixels, suffix), texts))
    return pictures


def encode(pixels, suffix="png"):
    buffer = io.BytesIO()
    format = {"jpg": "jpeg"}.get(suffix, suffix)
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def photographs(folder, count):
    """The first photographs of a COCO folder."""
    content = json.loads((folder / "annotations" / "captions_train2017.json").read_text())
    captions = {image["id"]: [] for image in content["images"][:count]}
    for annotation in content["annotations"]:
        if annotation["image_id"] in captions:
            captions[annotation["image_id"]].append(annotation["caption"].strip())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    return [
        Picture(names[key], (folder / "train2017" / names[key]).read_bytes(), texts)
        for key, texts in captions.items()
    ]


def write_files(folder, pictures):
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (folder / picture.name).write_bytes(picture.content)


def flickr(root, pictures):
    write_files(root / "images", pictures)
    table = io.StringIO()
    rows = [(picture.name, text) for picture in pictures for text in picture.captions]
    csv.writer(table).writerows([("image", "caption"), *rows])
    (root / "captions.txt").write_text(table.getvalue(), encoding="utf-8")
    return settings.PhotographSource(kind="photographs", split=None)


def captions_file(root, pictures, name, line, header="", folder="."):
    """A table of captions, each line written by `line(picture, number, text)`."""
    write_files(root / folder, pictures)
    lines = [line(p.name, number, text) for p in pictures for number, text in enumerate(p.captions)]
    (root / name).write_text("\n".join([*filter(None, [header]), *lines, ""]), encoding="utf-8")
    return settings.PhotographSource(kind="photographs", split=None)


def open_clip_table(root, pictures):
    source = captions_file(
        root,
        pictures,
        "pairs_train.tsv",
        lambda name, _, text: f"images/{name}\t{text}",
        header="filepath\ttitle",
        folder="images",
    )
    return replace(source, file="pairs_{split}.tsv", split="train")


def kaggle(root, pictures):
    return captions_file(
        root,
        pictures,
        "results.csv",
        lambda name, number, text: f"{name}| {number}| {text}",
        header="image_name| comment_number| comment",
        folder="flickr30k_images",
    )


def token(root, pictures):
    return captions_file(
        root,
        pictures,
        "Flickr8k.token.txt",
        lambda name, number, text: f"{name}#{number}\t{text}",
        folder="Flicker8k_Dataset",
    )


def image_folder(root, pictures):
    """Hugging Face's, in a folder a split."""
    source = captions_file(
        root,
        pictures,
        "train/metadata.jsonl",
        lambda name, _, text: json.dumps({"file_name": name, "text": text, "id": 3}),
        folder="train",
    )
    return replace(source, file="{split}/metadata.jsonl", split="train")


def texts_beside(root, pictures):
    write_files(root / "00", pictures[::2])
    write_files(root, pictures[1::2])
    for picture in pictures:
        parent = root if (root / picture.name).exists() else root / "00"
        name = f"{picture.name.rpartition('.')[0]}.txt"
        (parent / name).write_text("\n".join(picture.captions), encoding="utf-8")
    return settings.PhotographSource(kind="photographs", split=None, caption_per_line=True)


def coco(root, pictures):
    write_files(root / "val2017", pictures)
    images = [{"id": 7 * i, "file_name": p.name} for i, p in enumerate(pictures)]
    annotations = [
        {"image_id": 7 * i, "caption": text} for i, p in enumerate(pictures) for text in p.captions
    ]
    (root / "annotations").mkdir()
    content = json.dumps({"images": images, "annotations": annotations})
    (root / "annotations" / "captions_val2017.json").write_text(content)
    return settings.PhotographSource(kind="photographs", split="val")


def karpathy(root, pictures):
    write_files(root / "coco" / "val2014", pictures)
    images = [
        {
            "filepath": "val2014",
            "filename": picture.name,
            "split": "restval" if number % 2 else "train",
            "sentences": [{"raw": text, "tokens": text.split()} for text in picture.captions],
        }
        for number, picture in enumerate(pictures)
    ]
    (root / "dataset_coco.json").write_text(json.dumps({"images": images, "dataset": "coco"}))
    return settings.KarpathySource(kind="karpathy", file="dataset_coco.json", folder="coco")


def blip(root, pictures):
    write_files(root / "val2014", pictures)
    entries = [{"image": f"val2014/{p.name}", "caption": p.captions} for p in pictures]
    (root / "coco_karpathy_test.json").write_text(json.dumps(entries))
    return settings.KarpathySource(kind="karpathy", file="coco_karpathy_{split}.json", split="test")


def write_tar(path, files, **options):
    with tarfile.open(path, "w", **options) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mtime = 1.5  # a fraction of a second makes a pax header
            archive.addfile(member, io.BytesIO(content))
    return path


def webdataset(root, pictures):
    """Two archives, as img2dataset would write them; captions beyond the first are in json."""
    half = len(pictures) // 2
    for number, part in enumerate((pictures[:half], pictures[half:])):
        files = []
        for index, picture in enumerate(part):
            key, suffix = f"{number:05}{index:04}", picture.name.split(".")[-1]
            about = {"caption": picture.captions, "url": "https://example.org", "width": 3}
            files += [
                (f"{key}.{suffix}", picture.content),
                (f"{key}.txt", picture.captions[0].encode()),
                (f"{key}.json", json.dumps(about).encode()),
            ]
        write_tar(root / f"{number:05}.tar", files)
    return settings.WebdatasetSource(kind="webdataset", shards="{00000..00001}.tar")


def array_record(root, pictures):
    shards = []
    for number in range(2):
        part = pictures[number::2]
        path = root / f"shard-{number}.arrayrecord"
        writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
        for picture in part:
            for record in pack_record(picture.name, picture.captions, picture.content):
                writer.write(record)
        writer.close()
        content = path.read_bytes()
        hashed = hashlib.sha256(content).hexdigest()
        shards.append(Shard(path.name, len(part), len(content), hashed))
    total = sum(shard.bytes for shard in shards)
    write_manifest(root, Manifest({}, tuple(shards), len(pictures), total, {}))
    return settings.ArrayRecordSource(kind="array_record")


THUMBNAIL = encode(np.zeros((2, 2, 3), np.uint8))


def tfds(root, pictures, name="tiny"):
    library = pytest.importorskip("tensorflow_datasets")
    features = library.features

    class Builder(library.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = library.core.Version("1.0.0")
        url_infos: ClassVar = {}  # instead of a search beside this file

        def _info(self):
            sentence = {"id": np.int64, "text": features.Text()}
            encoding = {"image": features.Image(), "captions": features.Sequence(sentence)}
            encoding["texts"] = features.Sequence(features.Text())
            encoding["about"] = {"title": features.Text(), "thumbnail": features.Image()}
            return library.core.DatasetInfo(builder=self, features=features.FeaturesDict(encoding))

        def _split_generators(self, manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for picture in pictures:
                texts = [{"id": i, "text": text} for i, text in enumerate(picture.captions)]
                image = io.BytesIO(picture.content)
                about = {"title": picture.name, "thumbnail": io.BytesIO(THUMBNAIL)}
                yield (
                    picture.name,
                    {
                        "image": image,
                        "captions": texts,
                        "texts": picture.captions,
                        "about": about,
                    },
                )

    Builder.name = name
    Builder(data_dir=root, file_format="array_record").download_and_prepare()
    return settings.TfdsSource(kind="tfds", dataset=name)


LAYOUTS = {
    function.__name__: function
    for function in (
        flickr,
        open_clip_table,
        kaggle,
        token,
        image_folder,
        texts_beside,
        coco,
        karpathy,
        blip,
        webdataset,
        array_record,
        tfds,
    )
}
