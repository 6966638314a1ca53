"""R-precision, CLIP score, label silhouette as metrics: captions in every form, parts that add up, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.metrics.toys import Blocks, Pixels, fakes, reals
from toolbox.interfaces import Condition, Sample, TextCodes
from toolbox.metrics import ClipScore, LabelSilhouette, RPrecision, evaluate
from toolbox.metrics.captions import caption_numbers
from toolbox.metrics.extractors.encoders import EncoderFeatures
from toolbox.metrics.functional import (
    candidate_scores,
    clip_score,
    draw_others,
    label_silhouette,
    pair_cosines,
    retrieval_hits,
)
from toolbox.testing import check_metric

N = 60
SMALL: dict[str, Any] = dict(candidates=11, folds=6)


class Codes(nn.Module):
    """Images and captions in one space of 4: corner colours, and what stands in the ids."""

    image_size = 8

    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.mix = nn.Parameter(torch.randn(12, 4, generator=rng))
        self.table = nn.Parameter(torch.randn(500, 4, generator=rng))

    def encode_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1) @ self.mix, images

    def encode_text(self, ids: Tensor, lengths: Tensor | None) -> TextCodes:
        return TextCodes(self.table[ids].sum(dim=1))

    def encode_texts(self, texts: list[str]) -> Tensor:
        return torch.stack([self.table[[int(word) for word in text.split()]].sum(0) for text in texts])


class ImagesAlone(nn.Module):
    """The image half of :class:`Codes`."""

    def __init__(self) -> None:
        super().__init__()
        self.both = Codes()
        self.encode_images = self.both.encode_images


def ids_of(n: int) -> Tensor:
    """(n, 3) ids; every fifth caption is the one before, and the class, i mod 3, is in it."""
    number = torch.arange(n) - (torch.arange(n) % 15 == 14) * 3
    return torch.stack([number % 3 + 1, number + 100, torch.zeros(n, dtype=torch.int64)], dim=1)


def captioned(sample: Sample, text: Any = None, codes: TextCodes | None = None) -> Sample:
    text = ids_of(len(sample)) if text is None and codes is None else text
    return sample.replace(condition=sample.condition.replace(text=text, codes=codes))


def fed(metric: Any, real: Sample | None = None, fake: Sample | None = None) -> dict[str, float]:
    if real is not None:
        metric.update_real(real)
    metric.update_fake(captioned(fakes(N)) if fake is None else fake)
    return metric.compute()


MAKERS = {
    "r-precision[Codes,60,1of11,6folds]": lambda: RPrecision(Codes(), n_fake=N, **SMALL),
    "r-precision[Codes,60,1of11,top3,other-caption,6folds,off-by-one]": lambda: RPrecision(
        Codes(), n_fake=N, k=3, exclude="caption", off_by_one=True, **SMALL
    ),
    "clip-score[Codes,60]": lambda: ClipScore(Codes(), n_fake=N),
    "clip-score[Codes,60,galip-legacy,clipscore]": lambda: ClipScore(
        Codes(), n_fake=N, preprocessing="galip_legacy", form="clipscore"
    ),
    "label-silhouette[blocks,60]": lambda: LabelSilhouette(Blocks(), N),
    "label-silhouette[blocks,60,euclidean,20drawn]": lambda: LabelSilhouette(Blocks(), N, "euclidean", 20),
}


@pytest.mark.parametrize("name", MAKERS)
def test_keeps_the_contract_and_names_its_protocol(name: str) -> None:
    metric = MAKERS[name]()
    assert metric.name == name
    check_metric(metric, captioned(reals(N)), captioned(fakes(N)))


def test_r_precision_by_hand() -> None:
    values = fed(RPrecision(Codes(), candidates=11, folds=1), captioned(reals(N)))
    fake, codes = captioned(fakes(N)), Codes()
    numbers = torch.stack([fake.condition.labels, caption_numbers(fake, torch.zeros(N, 1))], 1).numpy()
    pool, rows, own = np.unique(numbers, axis=0, return_index=True, return_inverse=True)
    assert len(pool) == N - 4  # four captions come twice
    texts = codes.encode_text(ids_of(N), None).sentence.detach().numpy()
    features = EncoderFeatures(codes)(torch.round((fake.images + 1) * 127.5) / 127.5 - 1).detach().numpy()
    others = draw_others(numbers[:, 0], pool[:, 0], 10, 0)
    hits = retrieval_hits(candidate_scores(features, texts[rows], own, others))
    assert values[""] == pytest.approx(hits.mean()) and values["std"] == 0.0
    assert values["chance"] == 1 / 11 and 0 <= values["real"] <= 1


def test_clip_score_by_hand() -> None:
    values = fed(ClipScore(Codes(), preprocessing=None, form="clipscore"))
    fake, codes = captioned(fakes(N)), Codes()
    texts = codes.encode_text(ids_of(N), None).sentence.detach().numpy()
    images = codes.encode_images(torch.round((fake.images + 1) * 127.5) / 127.5 - 1)[0].detach().numpy()
    assert values[""] == pytest.approx(clip_score(pair_cosines(images, texts), "clipscore"), abs=1e-6)
    shifted = clip_score(pair_cosines(images, np.roll(texts, -1, axis=0)), "clipscore")
    assert values["chance"] == pytest.approx(shifted, abs=1e-6) and "real" not in values


def test_captions_in_every_form_give_one_value() -> None:
    ids = ids_of(N)
    texts = [" ".join(str(int(i)) for i in row) for row in ids]
    codes = TextCodes(Codes().encode_text(ids, None).sentence.detach())
    forms: list[tuple[Any, Sample]] = [
        (Codes(), captioned(fakes(N), ids)),
        (Codes(), captioned(fakes(N), texts)),
        (Codes(), captioned(fakes(N), None, codes)),
        (ImagesAlone(), captioned(fakes(N), ids, codes)),
    ]
    values = [fed(ClipScore(encoder, preprocessing=None), fake=fake)[""] for encoder, fake in forms]
    values.append(fed(ClipScore(ImagesAlone(), Codes(), preprocessing=None))[""])
    assert values == pytest.approx([values[0]] * 5, abs=1e-6)


def test_the_embedded_clip_knows_its_captions() -> None:
    """An extractor that holds a CLIP is taken for the CLIP in it."""
    from toolbox.data.embedded import EmbeddedEmoji
    from toolbox.models.clip_embedded import EmbeddedClipFeatures

    emoji = EmbeddedEmoji()
    assert emoji.captions is not None
    pictures = torch.stack([torch.from_numpy(emoji.image(i)) for i in range(24)]).permute(0, 3, 1, 2)
    texts = [emoji.captions[i][0] for i in range(24)]
    sample = Sample(pictures.float() / 127.5 - 1, Condition(text=texts), index=torch.arange(24))
    metric = RPrecision(EmbeddedClipFeatures(), candidates=20, folds=2, exclude="caption")
    metric.update_fake(sample)
    values = metric.compute()
    assert metric.name == "r-precision[toy-clip,24,1of20,other-caption,2folds]"
    assert values[""] > 4 * values["chance"]
    score = ClipScore(EmbeddedClipFeatures())
    score.update_fake(sample)
    values = score.compute()
    assert values[""] > values["chance"] + 0.05


def test_real_images_without_captions_are_left_out() -> None:
    values = fed(RPrecision(Codes(), **SMALL), reals(N))
    assert "real" not in values and values.keys() == {"", "std", "chance"}


def test_too_few_real_captions_cost_their_value_only() -> None:
    metric = RPrecision(Codes(), **SMALL)
    assert "real" not in fed(metric, captioned(reals(9)))
    assert metric.details()["note"].startswith("no value of the real images: 10 captions of other groups")


def test_in_a_pass_with_others() -> None:
    def sampler(index: Tensor) -> Sample:
        return captioned(fakes(N))[index]

    metrics = [RPrecision(Codes(), **SMALL), ClipScore(Codes()), LabelSilhouette(Blocks())]
    values = evaluate(sampler, Pixels(), metrics, n_fake=N, batch_size=25)
    assert values["r-precision[Codes,60,1of11,6folds]"] == fed(RPrecision(Codes(), **SMALL))[""]
    assert values["clip-score[Codes,60].chance"] == pytest.approx(fed(ClipScore(Codes()))["chance"])


def test_silhouette_is_of_features_and_labels() -> None:
    metric = LabelSilhouette(Blocks())
    metric.update_real(reals())
    metric.update_fake(fakes(N))
    values = metric.compute()
    expected = label_silhouette(metric.fake.features, np.arange(N) % 3)
    assert values == {"": pytest.approx(expected), "real": pytest.approx(values["real"])}


def unlabelled() -> Sample:
    sample = captioned(fakes(N))
    return sample.replace(condition=sample.condition.replace(labels=None))


@pytest.mark.parametrize(
    ("make", "fake", "message"),
    [
        (lambda: RPrecision(Blocks()), None, "encoder is a Blocks, which has no encode_images: give a CLIP"),
        (lambda: RPrecision(Codes(), k=100), None, "k=100 must be below candidates=100"),
        (lambda: ClipScore(Codes(), form="clipscor"), None, "form='clipscor' - did you mean 'clipscore'"),
        (
            lambda: ClipScore(Codes(), preprocessing="galip_legcy"),
            None,
            "preprocessing='galip_legcy' - did you mean 'galip_legacy'",
        ),
        (lambda: ClipScore(ImagesAlone()), None, "needs an encoder with an image_size; ImagesAlone has none"),
        (
            lambda: RPrecision(Codes()),
            lambda: fakes(N),
            "r-precision of generated images: the images have no cap",
        ),
        (
            lambda: RPrecision(ImagesAlone()),
            lambda: captioned(fakes(N)),
            "ImagesAlone encodes no captions: give a text_encoder",
        ),
        (
            lambda: RPrecision(Codes()),
            unlabelled,
            "condition.labels of the generated images is None: exclude=",
        ),
        (
            lambda: RPrecision(Codes(), exclude="clas"),
            lambda: captioned(fakes(N)),
            "exclude='clas' - did you mean 'class'",
        ),
        (
            lambda: RPrecision(Codes()),
            lambda: captioned(fakes(N)),
            "99 captions of other groups are drawn for each image, and there are 3",
        ),
    ],
)
def test_faults(make: Any, fake: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fed(make(), fake=fake() if fake else None)
