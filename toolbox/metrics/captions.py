"""What metrics of images and their captions share, R-precision and CLIP score."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.interfaces import Sample
from toolbox.metrics.base import ExtractorMetric, FeatureBank, State, below, features_of
from toolbox.metrics.extractors.encoders import EncoderFeatures, OfTexts
from toolbox.metrics.functional.captions import (
    ScoreForm,
    candidate_scores,
    clip_score,
    draw_others,
    fold_statistics,
    pair_cosines,
    retrieval_hits,
)
from toolbox.ranges import check_seed, check_whole

Encoder = nn.Module | Mapping[str, Any]


class Pairs:
    """Codes of images and of their captions, with numbers of their groups and captions, by index."""

    def __init__(self) -> None:
        self._images: FeatureBank | None = None  # labels: groups
        self._texts: FeatureBank | None = None  # labels: captions

    def __len__(self) -> int:
        return 0 if self._images is None else self._images.n

    def update(
        self, images: Tensor, texts: Tensor, groups: Tensor, captions: Tensor, index: Tensor | None
    ) -> None:
        """Take in codes (N, D) of both."""
        banks = self._banks(images.shape[1], texts.shape[1])
        for bank, codes, numbers in zip(banks, (images, texts), (groups, captions), strict=True):
            bank.update(codes, numbers, index)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes of images (n, D) and of texts, groups (n,) and captions (n,)."""
        assert self._images is not None and self._texts is not None
        return self._images.features, self._texts.features, self._images.labels, self._texts.labels

    def state(self) -> State:
        """Named tensors; none where nothing was taken in."""
        if self._images is None or self._texts is None:
            return {}
        of_images, of_texts = self._images.state(), self._texts.state()
        return {f"images.{k}": v for k, v in of_images.items()} | {
            f"texts.{k}": v for k, v in of_texts.items()
        }

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Fold in the state of another part."""
        if state:
            widths = [state[f"{part}.features"].shape[1] for part in ("images", "texts")]
            for bank, part in zip(self._banks(*widths), ("images.", "texts."), strict=True):
                bank.merge(below(part, state))

    def _banks(self, of_images: int, of_texts: int) -> tuple[FeatureBank, FeatureBank]:
        if self._images is None or self._texts is None:
            self._images, self._texts = FeatureBank(of_images), FeatureBank(of_texts)
        return self._images, self._texts


class CaptionMetric(ExtractorMetric):
    """A metric of images and their captions, which it finds in their condition.

    Real images that have captions are measured too. What a model must be compared with are the real images'
    value ('real') and that of captions taken at random ('chance').

    Args:
        encoder: of images, and of captions where ``text_encoder`` is None; see :class:`EncoderFeatures`.
        text_encoder: of captions; None: the encoder's own, or ``condition.codes``.
        n_fake: how many generated images; None: as many as are fed.
        of_real: measure real images too.
        preprocessing, vocabulary, of_texts: see :class:`EncoderFeatures`; an evaluation gives the game's
            ``of_texts``.
    """

    extractor: EncoderFeatures
    needs: tuple[str, ...] = ("fake", "real", "captions")
    higher_is_better = True

    def __init__(
        self,
        encoder: Encoder,
        text_encoder: Encoder | None = None,
        n_fake: int | None = None,
        of_real: bool = True,
        preprocessing: str | None = None,
        vocabulary: Any = None,
        of_texts: OfTexts | None = None,
    ) -> None:
        extractor = EncoderFeatures(
            encoder, text_encoder, preprocessing, vocabulary=vocabulary, of_texts=of_texts
        )
        super().__init__(extractor, n_fake)
        self.encoder = encoder
        self.text_encoder = text_encoder
        self.of_real = of_real
        if not of_real:
            self.needs = ("fake", "captions")
        self.reset()

    @property
    def n_fed(self) -> int:
        return len(self.fake)

    def judges(self) -> list[Any]:
        return [self.extractor.encoder]

    def update_real(self, sample: Sample) -> None:
        """Take in real images, where they have captions."""
        condition = sample.condition
        if self.of_real and (condition.text is not None or condition.codes is not None):
            self._update(self.real, sample, "real")

    def update_fake(self, sample: Sample) -> None:
        """Take in generated images and the captions that they were asked to show.

        Raises:
            ValueError: when they have none, or none that the encoder reads.
        """
        self._update(self.fake, sample, "generated")

    def _update(self, pairs: Pairs, sample: Sample, origin: str) -> None:
        self.extractor.eval()
        try:
            with torch.autocast(sample.images.device.type, enabled=False):
                texts = self.extractor.captions(sample.condition)
        except ValueError as error:
            raise ValueError(f"{self.title} of {origin} images: {error}") from error
        images = features_of(self.extractor, sample)
        if images.shape != texts.shape:
            raise ValueError(
                f"{self.title}: codes of images are {tuple(images.shape)} and of captions "
                f"{tuple(texts.shape)}: both encoders must have one space"
            )
        captions = caption_numbers(sample, texts)
        pairs.update(images, texts, self.groups(sample, captions, origin), captions, sample.index)

    def groups(self, sample: Sample, captions: Tensor, origin: str) -> Tensor:
        """(N,) int64 group of each image; here its caption."""
        return captions

    def state(self) -> dict[str, Any]:
        """``fake.*`` and ``real.*``."""
        of_fakes = {f"fake.{key}": value for key, value in self.fake.state().items()}
        return of_fakes | {f"real.{key}": value for key, value in self.real.state().items()}

    def merge(self, state: dict[str, Any]) -> None:
        self.fake.merge(below("fake.", state))
        self.real.merge(below("real.", state))

    def reset(self) -> None:
        self.fake, self.real = Pairs(), Pairs()

    def details(self) -> dict[str, Any]:
        return {**super().details(), "n_real": len(self.real)}

    def _check_ready(self) -> None:
        self._check_count()
        if len(self.fake) < 2:
            raise ValueError(
                f"{self.title}: {len(self.fake)} generated images were fed, at least 2 are needed"
            )


class RPrecision(CaptionMetric):
    """Share of images whose own caption is nearest among candidates of other classes (AttnGAN).

    [0, 1], higher is better. The candidates of an image are its caption and, drawn once by ``seed``, captions
    of the other images measured. Nearest is meant by the cosine of the encoders' codes: DAMSM's, or CLIP's. A
    generator that was trained through the same encoder is flattered by it: an evaluation lends it no network
    of the game (``uses=``), and says so where the same weights were named.

    Args:
        encoder, text_encoder, n_fake, of_real, vocabulary, of_texts: see :class:`CaptionMetric`; the encoder
            reads captions itself, or there is a ``text_encoder``.
        candidates: captions that are compared, the own one among them.
        k: a hit is an own caption among the k nearest; ties are hits.
        exclude: whose captions do not compete: those of the same 'class' (``condition.labels``), the same
            'caption', or the same value of a named field of whole numbers, such as the source image.
        folds: parts of the images, of which mean and spread are taken.
        seed: of candidates and folds.
        off_by_one: leave out the last image of each fold, as DM-GAN's code does.

    ``compute`` gives the mean ('') and the standard deviation over folds ('std'), what random captions give
    ('chance'), and the value of real images among their own captions ('real') where these were fed.
    """

    title = "r-precision"
    own_networks = False
    from_outside = (
        "the file of another DAMSM (encoder=dict(type='DamsmImageEncoder', weights='FILE'), "
        "text_encoder=dict(type='DamsmTextEncoder', weights='FILE')), or a CLIP"
    )

    def __init__(
        self,
        encoder: Encoder,
        text_encoder: Encoder | None = None,
        n_fake: int | None = None,
        of_real: bool = True,
        candidates: int = 100,
        k: int = 1,
        exclude: str = "class",
        folds: int = 10,
        seed: int = 0,
        off_by_one: bool = False,
        vocabulary: Any = None,
        of_texts: OfTexts | None = None,
    ) -> None:
        super().__init__(encoder, text_encoder, n_fake, of_real, None, vocabulary, of_texts)
        if self.extractor.text_encoder is None:
            raise ValueError(
                f"{type(self.extractor.encoder).__name__} encodes no captions: give a text_encoder, since "
                "the codes of the judged game do not count"
            )
        check_whole(2, candidates=candidates)
        check_whole(1, k=k, folds=folds)
        check_seed(seed=seed)
        if k >= candidates:
            raise ValueError(f"k={k} must be below candidates={candidates}: all images would be hits")
        self.candidates = candidates
        self.k = k
        self.exclude = exclude
        self.folds = folds
        self.seed = seed
        self.off_by_one = off_by_one
        self._note = ""

    def options(self) -> list[str]:
        usual = {f"1of{self.candidates}": self.candidates == 100, f"top{self.k}": self.k == 1}
        usual |= {f"other-{self.exclude}": self.exclude == "class", f"{self.folds}folds": self.folds == 10}
        usual |= {"off-by-one": not self.off_by_one}
        return [option for option, as_published in usual.items() if not as_published]

    def shortage(self, n_real: int, per_class: Sequence[int] | np.ndarray, n_fake: int) -> str:
        least = max((2 if self.off_by_one else 1) * self.folds, self.candidates)
        return (
            f"cannot be computed of {n_fake} generated images, {least} are needed" if n_fake < least else ""
        )

    def groups(self, sample: Sample, captions: Tensor, origin: str) -> Tensor:
        if self.exclude == "caption":
            return captions
        if self.exclude == "class":
            labels = sample.condition.labels
            if labels is None:
                raise ValueError(
                    f"{self.title} draws captions of other classes, and condition.labels of the {origin} "
                    "images is None: exclude='caption' does without, and captions of a labelled data set "
                    "(evaluation.captions) have them"
                )
            return labels
        fields = {**sample.extras, **sample.condition.extra}
        if self.exclude not in fields:
            known = sorted(["class", "caption", *fields])
            raise ValueError(
                f"exclude={self.exclude!r}{near_miss(self.exclude, known)}; the {origin} images have: "
                f"{', '.join(known)}"
            )
        return torch.as_tensor(fields[self.exclude])

    def compute(self) -> dict[str, float]:
        self._check_ready()
        mean, std = self._measured(self.fake)
        values = {"": mean, "std": std, "chance": self.k / self.candidates}
        self._note = ""
        if len(self.real):
            try:
                values["real"] = self._measured(self.real)[0]
            except ValueError as error:  # too few of them must not cost the others' value
                self._note = f"no value of the real images: {error}"
        return values

    def details(self) -> dict[str, Any]:
        note = {"note": self._note} if self._note else {}
        return {**super().details(), "seed_of_candidates": self.seed, **note}

    def _measured(self, pairs: Pairs) -> tuple[float, float]:
        images, texts, groups, captions = pairs.arrays()
        # each caption of a group once, in an order that no batch or process changes
        numbers = np.stack([groups, captions], axis=1)
        pool, rows, own = np.unique(numbers, axis=0, return_index=True, return_inverse=True)
        others = draw_others(groups, pool[:, 0], self.candidates - 1, self.seed)
        hits = retrieval_hits(candidate_scores(images, texts[rows], own.reshape(-1), others), self.k)
        return fold_statistics(hits, self.folds, self.seed, self.off_by_one)


class ClipScore(CaptionMetric):
    """Cosine of an image's and its caption's code under CLIP, mean over images; higher is better.

    The model is part of the metric, and its name of the metric's. Cosines of different models do not compare.

    Args:
        encoder, text_encoder, n_fake, of_real, vocabulary, of_texts: see :class:`CaptionMetric`.
        preprocessing: how images reach CLIP: 'plain' (antialiased bicubic) or 'galip_legacy' (as GALIP's code
            does it, for its published numbers; other images than CLIP was made for).
        form: 'cosine': the mean (GALIP); 'clipscore': the mean of 2.5 max(cos, 0); 'torchmetrics': 100 times
            the mean, at least 0.

    ``compute`` gives the score (''), that of each image with the next image's caption ('chance'), and that of
    real images with theirs ('real') where these were fed.
    """

    title = "clip-score"

    def __init__(
        self,
        encoder: Encoder,
        text_encoder: Encoder | None = None,
        n_fake: int | None = None,
        of_real: bool = True,
        preprocessing: str | None = "plain",
        form: ScoreForm = "cosine",
        vocabulary: Any = None,
        of_texts: OfTexts | None = None,
    ) -> None:
        super().__init__(encoder, text_encoder, n_fake, of_real, preprocessing, vocabulary, of_texts)
        if form not in get_args(ScoreForm):
            hint = near_miss(str(form), get_args(ScoreForm))
            raise ValueError(f"form={form!r}{hint}; allowed: {', '.join(get_args(ScoreForm))}")
        self.preprocessing = preprocessing
        self.form: ScoreForm = form

    def options(self) -> list[str]:
        parts = [(self.preprocessing or "as-it-does", "plain"), (self.form, "cosine")]
        return [value.replace("_", "-") for value, usual in parts if value != usual]

    def compute(self) -> dict[str, float]:
        self._check_ready()
        images, texts, *_ = self.fake.arrays()
        values = {
            "": clip_score(pair_cosines(images, texts), self.form),
            "chance": clip_score(pair_cosines(images, np.roll(texts, -1, axis=0)), self.form),
        }
        if len(self.real) >= 2:
            of_real, captions, *_ = self.real.arrays()
            values["real"] = clip_score(pair_cosines(of_real, captions), self.form)
        return values


def caption_numbers(sample: Sample, codes: Tensor) -> Tensor:
    """(N,) int64 number of each image's caption: equal captions have equal ones, on every machine."""
    text = sample.condition.text
    rows: Iterable[bytes]
    if text is None:
        rows = (row.tobytes() for row in codes.cpu().numpy())
    elif isinstance(text, Tensor):
        rows = (row[row != 0].tobytes() for row in text.cpu().long().numpy())  # whatever the padding
    else:
        rows = (caption.encode() for caption in text)
    digests = [hashlib.blake2b(row, digest_size=8).digest() for row in rows]
    return torch.tensor([int.from_bytes(digest, "little") >> 1 for digest in digests])
