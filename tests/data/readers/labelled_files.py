"""Tiny files of the real schemas of VQA v2, SNLI-VE and GLUE."""

import json

import numpy as np
from PIL import Image

from kgclip_jax.data.readers.glue import GlueData
from kgclip_jax.data.readers.snli_ve import SnliVeData
from kgclip_jax.data.readers.vqa import VqaData

COLOURS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250), "grey": (90, 90, 90)}


def paint(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 24, 3), colour, np.uint8)).save(path)


def annotation(question, answers, common=None, kind="other"):
    """An entry as `v2_mscoco_*_annotations.json` has it."""
    return {
        "question_type": "what",
        "multiple_choice_answer": answers[0] if common is None else common,
        "answers": [
            {"answer": answer, "answer_confidence": "yes", "answer_id": number}
            for number, answer in enumerate(answers, 1)
        ],
        "image_id": question // 1000,
        "answer_type": kind,
        "question_id": question,
    }


def question(number, words):
    return {"image_id": number // 1000, "question": words, "question_id": number}


def write_vqa(root, part, questions, annotations):
    common = {"info": {}, "license": {}, "data_type": "mscoco", "data_subtype": part}
    names = f"v2_OpenEnded_mscoco_{part}_questions.json", f"v2_mscoco_{part}_annotations.json"
    lists = {"questions": questions, "task_type": "Open-Ended"}, {"annotations": annotations}
    for name, content in zip(names, lists, strict=True):
        (root / name).write_text(json.dumps(common | content))
    return VqaData(
        questions=names[0],
        annotations=names[1],
        images=part,
        answers_from=(names[1],),
        answers=4,
    )


def small_vqa(root, part="train2014"):
    """Two questions about each of four pictures: its colour, and whether it is red."""
    asked, answered = [], []
    for number, (name, colour) in enumerate(COLOURS.items(), 1):
        paint(root / part / f"COCO_{part}_{number:012d}.jpg", colour)
        first = 1000 * number
        asked += [question(first, "What colour is it?"), question(first + 1, "Is it red?")]
        answered += [
            annotation(first, [name] * 8 + ["a colour", "dark"]),
            annotation(first + 1, ["yes" if name == "red" else "no"] * 10, kind="yes/no"),
        ]
    return write_vqa(root, part, asked, answered)


def snli_line(picture, sentence, label):
    return {
        "Flickr30K_ID": picture,
        "annotator_labels": [label],
        "captionID": f"{picture}.jpg#0",
        "gold_label": label,
        "pairID": f"{picture}.jpg#0r1n",
        "sentence1": "A caption that nobody reads.",
        "sentence2": sentence,
    }


def write_snli_ve(root, part, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (root / f"snli_ve_{part}.jsonl").write_text(text)
    return SnliVeData(file=f"snli_ve_{part}.jsonl")


def small_snli_ve(root, part="train"):
    """Three sentences about each of four pictures, and one on which nobody agreed."""
    lines = []
    for number, colour in enumerate(COLOURS.values()):
        paint(root / "flickr30k_images" / f"{100 + number}.jpg", colour)
        for label in ("entailment", "neutral", "contradiction"):
            lines.append(snli_line(f"{100 + number}", f"A sentence of {label}.", label))
    return write_snli_ve(root, part, [*lines, snli_line("100", "Who knows.", "-")])


ROWS = {
    "CoLA": ('gj04\t1\t\tThey "drank" it.\ngj04\t0\t*\tThey drank the\n', "train"),
    "SST-2": ('sentence\tlabel\nhide new secretions \t0\na "great film\t1\n', "train"),
    "MRPC": (
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
        "1\t702876\t702977\tAmrozi accused his brother\tHis brother was accused\n"
        '0\t2108705\t2108831\tYucaipa owned "it\tSomebody else\n',
        "train",
    ),
    "QQP": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        '133273\t213221\t213222\tHow is "life?\tWhat is death?\t0\n'
        "402555\t536040\t536041\tHow do I \u2028 go?\tHow to go?\t1\n",
        "train",
    ),
    "STS-B": (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
        "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA plane.\tAn aircraft.\t5.000\n"
        "1\tmain-captions\tMSRvid\t2012test\t0004\tnone\tnone\tA flute.\tA car.\t0.500\n",
        "train",
    ),
    "MNLI": (
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
        "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tlabel2\tlabel3\tlabel4\t"
        "label5\tgold_label\n"
        "0\t63735\t63735n\tslate\t( a )\t( b )\t(R a)\t(R b)\tThe new rights\tEveryone\tneutral\t"
        "entailment\tneutral\tneutral\tneutral\tneutral\n"
        "1\t91383\t91383c\ttravel\t( a )\t( b )\t(R a)\t(R b)\tThis site\tThis\tcontradiction\t"
        "contradiction\tcontradiction\tneutral\tcontradiction\tcontradiction\n",
        "dev_matched",
    ),
    "QNLI": (
        "index\tquestion\tsentence\tlabel\n0\tWhen?\tIn 1990.\tentailment\n"
        '1\tWho?\tIn "Rome.\tnot_entailment\n',
        "train",
    ),
    "RTE": (
        "index\tsentence1\tsentence2\tlabel\n0\tNo weapons\tWeapons\tnot_entailment\n"
        "1\tA place of sorrow\tSorrow\tentailment\n",
        "train",
    ),
    "WNLI": (
        "index\tsentence1\tsentence2\tlabel\n0\tI stuck a pin\tThe carrot\t1\n1\tJohn\tHe\t0\n",
        "train",
    ),
}


def write_glue(root, task, text=None, split=None):
    whole, usual = ROWS[task]
    (root / task).mkdir(exist_ok=True)
    data = GlueData(task=task, split=split or usual)
    (root / task / f"{data.split}.tsv").write_text(whole if text is None else text)
    return data
