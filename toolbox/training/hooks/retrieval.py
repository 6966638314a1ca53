"""Testing a pair of encoders: whether images find their captions among others, and captions their images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.hooks import Hook
from numpy.typing import NDArray
from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.checking import check_is_dict
from toolbox.config import ConfigError
from toolbox.data.caption_stream import CaptionStream
from toolbox.interfaces import Condition, from_bytes
from toolbox.interfaces.described import Described
from toolbox.metrics.extractors.encoders import EncoderFeatures
from toolbox.metrics.functional.captions import (
    candidate_scores,
    draw_others,
    first_place_shares,
    label_silhouette,
)
from toolbox.ranges import check_seed, check_whole, given
from toolbox.registry import build
from toolbox.training.evaluation.records import ORIGIN, append_records, of_training
from toolbox.training.hooks.common import game_of
from toolbox.training.hooks.evaluation import undisturbed
from toolbox.training.run.resume import drop_after

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.training.game.game import Game

MEASURES = ("image-to-text", "text-to-image", "silhouette-images", "silhouette-texts")


@torch.no_grad()
def measure_retrieval(
    image_encoder: nn.Module,
    text_encoder: nn.Module | None,
    data: CaptionStream,
    candidates: int | None = 100,
    seed: int = 0,
    batch_size: int = 100,
    device: str | torch.device = "cpu",
) -> dict[str, float]:
    """R@1 in both directions, and how far apart labels lie, of the codes of images and of one caption each.

    Every image is asked for its caption among ``candidates``: its own and those of other images; every
    caption for its image. Nearest is meant by the cosine. Images of one concept (``group``) are no
    candidates of each other. Where the own code ties with others, first place is shared: encoders that give
    all images one code are at chance.

    Args:
        image_encoder, text_encoder: see :class:`EncoderFeatures`, in eval mode.
        data: images and captions; item i gives image i and one of its captions.
        candidates: how many are compared, the own one among them; None: all images.
        seed: of the candidates.
        batch_size, device: of encoding.

    Returns:
        'image-to-text' and 'text-to-image' R@1, their 'chance', and the label silhouettes
        'silhouette-images' and 'silhouette-texts' (cosine), nan where there are fewer than two labels.

    Raises:
        ValueError: for fewer images of other concepts than candidates.
    """
    check_whole(2, **given(candidates=candidates))
    extractor = EncoderFeatures(image_encoder, text_encoder)
    images, texts, labels, groups = _encoded(extractor, data, batch_size, device)
    own = np.arange(len(images))
    count = _most_others(groups) if candidates is None else candidates - 1
    others = draw_others(groups, groups, count, seed)
    both = {"image-to-text": (images, texts), "text-to-image": (texts, images)}
    found = {
        name: float(first_place_shares(candidate_scores(asking, asked, own, others)).mean())
        for name, (asking, asked) in both.items()
    }
    found["chance"] = 1 / (count + 1)
    for name, codes in (("images", images), ("texts", texts)):
        found[f"silhouette-{name}"] = _silhouette(codes, labels)
    return found


Codes = NDArray[np.float64]
Numbers = NDArray[np.int64]


def _encoded(
    extractor: EncoderFeatures, data: CaptionStream, batch_size: int, device: str | torch.device
) -> tuple[Codes, Codes, Numbers, Numbers]:
    """Codes (n, D) of images and of captions, labels and groups (n,)."""
    rows: list[tuple[Tensor, ...]] = []
    for batch in _batches(data, batch_size):
        text = Condition(text=batch["text"].to(device))
        images = extractor(from_bytes(batch["images"].to(device)))
        rows.append((images.cpu(), extractor.captions(text).cpu(), batch["labels"], batch["group"]))
    images, texts, labels, groups = (torch.cat(part).numpy() for part in zip(*rows, strict=True))
    return images.astype(np.float64), texts.astype(np.float64), labels, groups


def _batches(data: CaptionStream, batch_size: int) -> Iterator[dict[str, Tensor]]:
    """All items in order; the fields that are looked at."""
    for start in range(0, len(data), batch_size):
        items = [data[i] for i in range(start, min(start + batch_size, len(data)))]
        stacked = {name: torch.stack([item[name] for item in items]) for name in ("images", "text")}
        numbers = {name: torch.tensor([item[name] for item in items]) for name in ("labels", "group")}
        yield {**stacked, **numbers}


def _most_others(groups: Numbers) -> int:
    """As many images as each has of other groups."""
    return len(groups) - int(np.unique(groups, return_counts=True)[1].max())


def _silhouette(codes: Codes, labels: Numbers) -> float:
    """Of those that have a label."""
    known = labels >= 0
    if not 2 <= len(np.unique(labels[known])) < known.sum():
        return float("nan")
    return label_silhouette(codes[known], labels[known], most=5000)


class RetrievalTest(Described, Hook):
    """R@1 of a game's image and text encoder, and the label silhouette of their codes, on captioned images.

    Lines go to ``metrics.jsonl``; see :func:`measure_retrieval`. A run is the same with and without it. In
    several processes each measures all of it.

    Args:
        data: config of a ``CaptionStream``. Words need ``vocabulary``, the training set's; captions that
            training never sees are those of ``Wordings`` with ``part='unseen'``.
        image_encoder: name of a network with ``encode_images``.
        text_encoder: name of a network with ``encode_text``; None: the image encoder encodes captions too.
        candidates: that are compared, the own one among them; None: all images.
        interval: iterations between two tests; the last iteration is tested anyway.
        batch_size: images at a time.
        seed: of the candidates.
    """

    priority = "LOW"

    def __init__(
        self,
        data: Any,
        image_encoder: str = "image_encoder",
        text_encoder: str | None = "text_encoder",
        candidates: int | None = 100,
        interval: int = 1000,
        batch_size: int = 100,
        seed: int = 0,
    ) -> None:
        check_whole(1, interval=interval, batch_size=batch_size)
        check_whole(2, **given(candidates=candidates))
        check_seed(seed=seed)
        self.data = data
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.candidates = candidates
        self.interval = interval
        self.batch_size = batch_size
        self.seed = seed
        self._built: CaptionStream | None = None

    def check_config(self, config: Config) -> None:
        """Refuse a game without the networks, before anything is trained.

        Raises:
            ConfigError: naming the networks.
        """
        if not isinstance(self.data, CaptionStream):
            check_is_dict(self.data, "hooks: RetrievalTest: data")
        networks: Mapping[str, Any] = (config.get("model") or {}).get("networks") or {}
        for argument in ("image_encoder", "text_encoder"):
            name = getattr(self, argument)
            if name is not None and networks.get(name) is None:
                raise ConfigError(
                    f"hooks: RetrievalTest: {argument}={name!r} is no network of the game"
                    f"{near_miss(name, list(networks))}; it has {', '.join(networks)}"
                )

    def check_game(self, game: Game, config: Config) -> None:
        """Refuse networks that encode no images or captions, another vocabulary, and too few images.

        Raises:
            ConfigError, ValueError, DataError: naming what is missing.
        """
        images, texts = self._encoders(game)
        EncoderFeatures(images, texts)
        data = self._test_data()
        words, known = len(data.tokens), getattr(texts, "n_tokens", None)
        if known is not None and known != words:
            raise ConfigError(
                f"hooks: RetrievalTest: data has a vocabulary of {words:,} words, network "
                f"{self.text_encoder!r} one of {known:,}: give it the training set's, data.vocabulary="
            )
        if self.candidates is not None and self.candidates > len(data):
            raise ConfigError(
                f"hooks: RetrievalTest: candidates={self.candidates}, and {data.source.title} has "
                f"{len(data)} images: lower it, or take None for all"
            )

    def before_train(self, runner: Any) -> None:
        """On resume, drop what was measured after the checkpoint."""
        drop_after(runner.iter, Path(runner.work_dir) / "metrics.jsonl", of_training)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Test every ``interval`` iterations, and after the last."""
        if (batch_idx + 1) % self.interval == 0 or batch_idx + 1 == runner.max_iters:
            self.test(game_of(runner), batch_idx + 1, Path(runner.work_dir))

    def test(self, game: Game, iteration: int, folder: Path) -> dict[str, float]:
        """Test now, keep and say the results, and return them."""
        from toolbox.runs.terminal import say

        data = self._test_data()
        with undisturbed(game):
            images, texts = self._encoders(game)
            found = measure_retrieval(
                images.eval(),
                None if texts is None else texts.eval(),
                data,
                self.candidates,
                self.seed,
                self.batch_size,
                game.device,
            )
        append_records(folder / "metrics.jsonl", self._records(found), iteration=iteration, during=ORIGIN)
        say(
            f"iteration {iteration}: R@1 image to text {found['image-to-text']:.4f}, text to image "
            f"{found['text-to-image']:.4f} (chance {found['chance']:.4f}); silhouette of labels "
            f"{found['silhouette-images']:.4f} (images), {found['silhouette-texts']:.4f} (texts)"
        )
        return found

    def _records(self, found: Mapping[str, float]) -> list[dict[str, Any]]:
        data = self._test_data()
        among = f"1of{round(1 / found['chance'])}"
        protocol = f"[{data.source.title.replace(',', '')},{len(data)},{among}]"
        return [
            dict(
                metric=f"retrieval-{name}{protocol}",
                value=found[name],
                values={"": found[name]},
                higher_is_better=True,
                seed_of_candidates=self.seed,
            )
            for name in MEASURES
            if np.isfinite(found[name])
        ]

    def _encoders(self, game: Game) -> tuple[Any, Any]:
        names = (self.image_encoder, self.text_encoder)
        images, texts = (None if name is None else game.network(name, averaged=True) for name in names)
        return images, texts

    def _test_data(self) -> CaptionStream:
        if self._built is None:
            built = build(self.data, "dataset", "RetrievalTest.data")
            if not isinstance(built, CaptionStream):
                raise ConfigError(
                    f"hooks: RetrievalTest: data is a {type(built).__name__}; a CaptionStream is needed: "
                    "dict(type='CaptionStream', source=..., vocabulary=...)"
                )
            self._built = built
        return self._built
