"""VQA v2: questions about COCO's pictures, each answered by ten people.

    v2_OpenEnded_mscoco_train2014_questions.json
        {"data_subtype": "train2014", "questions":
            [{"image_id": 458752, "question": "What is this photo taken looking through?",
              "question_id": 458752000}, ...]}
    v2_mscoco_train2014_annotations.json
        {"annotations": [{"question_id": 458752000, "answer_type": "other",
            "multiple_choice_answer": "net", "answers": [{"answer": "net", ...}, ... ten]}, ...]}

Pictures are COCO_train2014_000000458752.jpg and so on, in one folder.

Answers are classes: the most frequent ones, counted by `multiple_choice_answer`, what most people
said of a question. The field takes the 3,129 that training *and validation* have at least nine
times (Teney et al., CVPR 2018; the code of bottom-up-attention-vqa and ViLT), which is
`answers_from` both files.

Source: Goyal et al., CVPR 2017. Spelling and accuracy are those of the official evaluation,
github.com/GT-Vision-Lab/VQA, where ten equal answers are compared as they stand, and others
normalised. A class is submitted in its commonest spelling: "t-shirt", whose norm is "t shirt".
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from kgclip_jax.data.labelled import Item, Items, gather
from kgclip_jax.data.readers.json_lists import objects
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_json_object
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import LocalPath

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_MOST_FULL_STOPS = 32  # `re.UNICODE`, which the official code passes for a count
_ARTICLES = ("a", "an", "the")
_COUNTED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(_COUNTED)}
# The official list mends words that lack one of their apostrophes.
_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't
    mightn't've must've mustn't needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
    shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
    someone's something'd something'd've something'll that's there'd there'd've there're there's
    they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're
    what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
    why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're
    you've
"""
_CONTRACTIONS = {
    word[: match.start()] + word[match.end() :]: word
    for word in _CONTRACTED.split()
    for match in re.finditer("'", word)
} | {"somebody'd": "somebodyd"}  # as it is written there


@dataclass(frozen=True, kw_only=True)
class VqaData:
    """Questions and answers of one part, as a config names them.

    Attributes:
        kind: tells this data apart from others.
        questions: the file of questions, absolute or in `data.path`.
        annotations: the file of their answers.
        images: the folder of COCO's pictures of this part, such as coco/train2014.
        answers_from: files of answers that the classes are counted in; the same for all parts that
            one head is trained on or measured by.
        answers: how many classes; of equally frequent answers the first in the alphabet.
    """

    kind: Literal["vqa"] = "vqa"
    questions: LocalPath
    annotations: LocalPath
    images: LocalPath
    answers_from: tuple[LocalPath, ...]
    answers: PositiveInt = 3129
    metrics: ClassVar[Sequence[str]] = ("accuracy",)

    def read(self, root: Path, *, bad_share: float) -> Items:
        """Read the questions; a target is the official accuracy of an answer.

        Raises:
            DataError: a file is missing or malformed, or a question has no answers.
        """
        del bad_share  # these files have no lines to leave out
        classes = frequent_answers([root / file for file in self.answers_from], self.answers)
        items = _items(root / self.questions, root / self.annotations, classes)
        return gather(items, classes, root / self.annotations)


def frequent_answers(files: Sequence[Path], most: int) -> list[str]:
    """Return the most frequent answers, the commonest first, each in its commonest spelling."""
    counts: Counter[str] = Counter()
    spellings: dict[str, Counter[str]] = {}
    for path in files:
        entries = read_json_object(path).get("annotations")
        fields = {"multiple_choice_answer": str}
        for _, entry in objects(path, "annotations", entries, fields):
            said = _stripped(entry["multiple_choice_answer"])
            counts[answer := normalised(said)] += 1
            spellings.setdefault(answer, Counter())[said] += 1
    chosen = sorted(counts, key=lambda answer: (-counts[answer], answer))[:most]
    return [_commonest(spellings[answer]) for answer in chosen]


def _commonest(spellings: Counter[str]) -> str:
    """Return the commonest one; of equally common ones one that is normalised, if it is there."""
    return min(spellings, key=lambda said: (-spellings[said], normalised(said) != said, said))


def _items(questions: Path, annotations: Path, classes: Sequence[str]) -> Iterator[Item]:
    places = {answer: place for place, answer in enumerate(classes)}
    of_normalised = {normalised(answer): place for answer, place in places.items()}
    content = read_json_object(questions)
    part = content.get("data_subtype")
    if not isinstance(part, str) or not re.fullmatch(r"\w+", part):
        raise DataError(f"{questions}: data_subtype must be like 'train2014', not {part!r}")
    fields = {"question_id": int, "image_id": int, "question": str}
    asked = {
        entry["question_id"]: entry
        for _, entry in objects(questions, "questions", content.get("questions"), fields)
    }
    entries = read_json_object(annotations).get("annotations")
    fields = {"question_id": int, "answer_type": str, "answers": list}
    for place, entry in objects(annotations, "annotations", entries, fields):
        if (question := asked.pop(entry["question_id"], None)) is None:
            number = entry["question_id"]
            raise DataError(f"{annotations}: {place}: no question {number} in {questions} (or two)")
        said = objects(annotations, f"{place}.answers", entry["answers"], {"answer": str})
        answers = [answer["answer"] for _, answer in said]
        if not answers:
            raise DataError(f"{annotations}: {place} has no answers")
        classes_of = places if _are_equal(answers) else of_normalised
        scored = accuracies(answers).items()
        yield Item(
            texts=(question["question"],),
            targets={classes_of[said]: score for said, score in scored if said in classes_of},
            picture=f"COCO_{part}_{question['image_id']:012d}.jpg",
            part=entry["answer_type"],
        )
    if asked:
        raise DataError(f"{annotations}: no answers to question {next(iter(asked))}")


def accuracies(answers: Sequence[str]) -> dict[str, float]:
    """Return the accuracy of each answer that people gave; that of all others is 0.

    Answers are normalised, unless all are equal.

    An answer is right as far as three people gave it, averaged over leaving each person out: with
    c of n people, [c min((c - 1) / 3, 1) + (n - c) min(c / 3, 1)] / n, which for ten people is
    0.3, 0.6, 0.9 and 1 for c = 1, 2, 3 and more.
    """
    said = list(map(_stripped if _are_equal(answers) else normalised, answers))
    n = len(said)
    return {
        answer: (c * min((c - 1) / 3, 1) + (n - c) * min(c / 3, 1)) / n
        for answer, c in Counter(said).items()
    }


def _are_equal(answers: Sequence[str]) -> bool:
    return len({_stripped(answer) for answer in answers}) == 1


def _stripped(answer: str) -> str:
    return re.sub(r"[\n\t]", " ", answer).strip()


def normalised(answer: str) -> str:
    """Return an answer without marks and articles, with digits and apostrophes, in lower case."""
    answer = _stripped(answer)
    glued = _COMMA_IN_NUMBER.search(answer) is not None
    text = answer
    for mark in _MARKS:
        beside_space = f"{mark} " in answer or f" {mark}" in answer
        text = text.replace(mark, "" if glued or beside_space else " ")
    text = _FULL_STOP.sub("", text, count=_MOST_FULL_STOPS)
    words = [_NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
