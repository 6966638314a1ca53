"""R@1 and silhouettes of a pair of encoders against a hand computation, and as a hook of a game."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score
from torch import Tensor, nn

from toolbox.config import ConfigError, load_config
from toolbox.data.base import ArraySet
from toolbox.data.caption_stream import CaptionStream
from toolbox.interfaces import TextCodes
from toolbox.metrics.functional import first_place_shares
from toolbox.training.hooks.retrieval import RetrievalTest, measure_retrieval
from toolbox.training.run.play import play

N, D = 12, 3
LABELS = np.arange(N) % 3


class FirstPixel(nn.Module):
    """The code of an image is a row of a table, chosen by the value of its first pixel."""

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.codes = nn.Parameter(codes)

    def encode_images(self, images: Tensor) -> Tensor:
        return self.codes[((images[:, 0, 0, 0] + 1) * 127.5).round().long()]


class FirstWord(nn.Module):
    """The code of a caption is a row of a table, chosen by its first token."""

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.codes = nn.Parameter(codes)

    def encode_text(self, ids: Tensor, lengths: Tensor | None) -> TextCodes:
        codes = self.codes[ids[:, 0]]
        return TextCodes(codes, codes[:, :, None], torch.ones(len(ids), dtype=torch.int64))


def stream(concepts: list[int] | None = None) -> CaptionStream:
    """Image i is grey i, its caption the word number i."""
    images = np.arange(N, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
    words = [[f"word{chr(97 + i)}"] for i in range(N)]
    data = ArraySet(images, LABELS, ["a", "b", "c"], title="greys", captions=words)
    if concepts is not None:
        data.concepts = np.array(concepts)
    return CaptionStream(data, load=1.0, max_words=2)


def encoders(images: Tensor, texts: Tensor) -> tuple[FirstPixel, FirstWord]:
    """Codes (N, D) of the images and of their captions."""
    data = stream()
    tokens = torch.tensor([int(data[i]["text"][0]) for i in range(N)])
    table = torch.zeros(int(tokens.max()) + 1, D)
    table[tokens] = texts
    return FirstPixel(images), FirstWord(table)


def test_recall_and_silhouette_are_those_of_a_hand_computation() -> None:
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(N, D)).astype(np.float32)
    images = texts + rng.normal(size=(N, D)).astype(np.float32)
    found = measure_retrieval(
        *encoders(torch.tensor(images), torch.tensor(texts)), stream(), candidates=None, batch_size=5
    )

    unit = [codes / np.linalg.norm(codes, axis=1, keepdims=True) for codes in (images, texts)]
    cosines = unit[0] @ unit[1].T
    assert found["image-to-text"] == (cosines.argmax(1) == np.arange(N)).mean()
    assert found["text-to-image"] == (cosines.argmax(0) == np.arange(N)).mean()
    assert 0 < found["image-to-text"] < 1
    assert found["chance"] == 1 / N
    assert found["silhouette-images"] == pytest.approx(silhouette_score(images, LABELS, metric="cosine"))
    assert found["silhouette-texts"] == pytest.approx(silhouette_score(texts, LABELS, metric="cosine"))


def test_images_of_one_concept_do_not_compete() -> None:
    """Pairs of images share their codes, and each pair is a concept: all are found."""
    codes = torch.randn(N // 2, D, generator=torch.Generator().manual_seed(0)).repeat_interleave(2, 0)
    concepts = [i // 2 for i in range(N)]
    found = measure_retrieval(*encoders(codes, codes), stream(concepts), candidates=None)
    assert found["image-to-text"] == found["text-to-image"] == 1
    assert found["chance"] == 1 / (N - 1)


def test_encoders_that_tell_nothing_apart_are_at_chance() -> None:
    codes = torch.ones(N, D)
    found = measure_retrieval(*encoders(codes, codes), stream(), candidates=4)
    assert found["image-to-text"] == found["text-to-image"] == found["chance"] == 0.25


def test_first_place_is_shared_by_equal_ones() -> None:
    scores = [[3, 1, 2], [2, 2, 1], [1, 1, 1], [0, 1, 0]]
    assert first_place_shares(scores) == pytest.approx([1, 1 / 2, 1 / 3, 0])


def small_config(folder: Path) -> Any:
    """Two iterations of DAMSM with narrow encoders, on two kinds of emoji."""
    narrow = {
        "train_cfg.max_iters": 2,
        "train_dataloader.batch_size": 4,
        "model.networks.image_encoder.channels": 8,
        "hooks.progress": None,
    }
    config = load_config("toolbox/damsm_emoji", quick=True, options=narrow)
    groups = {"play": ["Activities"], "food": ["Food & Drink"]}
    tested = config.hooks.retrieval.data
    for place in (config.train_dataloader.dataset.source, tested.source, tested.vocabulary):
        place.source = dict(type="RelabelledSet", source=place.source.to_dict(), groups=groups)
    config.work_dir = str(folder)
    return config


def test_damsm_is_tested_at_the_end_of_its_run(tmp_path: Path) -> None:
    play(small_config(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    names = ("image-to-text", "text-to-image", "silhouette-images", "silhouette-texts")
    assert [line["metric"].split("[")[0] for line in lines] == [f"retrieval-{name}" for name in names]
    assert all(line["iteration"] == 2 and line["higher_is_better"] for line in lines)
    assert "unseen wordings" in lines[0]["metric"] and "1of100" in lines[0]["metric"]


def test_what_cannot_be_tested(tmp_path: Path) -> None:
    data: Any = dict(type="CaptionStream")
    hook = RetrievalTest(data, image_encoder="image_encoders")
    with pytest.raises(ConfigError, match="image_encoder='image_encoders' is no network of the game - did"):
        hook.check_config(small_config(tmp_path))
    with pytest.raises(ValueError, match="candidates=1 must be a whole number of 2"):
        RetrievalTest(data, candidates=1)
    with pytest.raises(ValueError, match="99 captions of other groups"):
        measure_retrieval(*encoders(torch.ones(N, D), torch.ones(N, D)), stream())
