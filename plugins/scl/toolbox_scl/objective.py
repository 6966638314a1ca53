"""Labels as a guide of a text-to-image game: the contrast of two branches, as one loss term."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.interfaces import Objective, Sample, Turn
from toolbox.losses.selected import mean_over_selected
from toolbox.ranges import check_positive
from toolbox_scl import losses
from toolbox_scl.labels import RULES, Positives, positives_by, with_own_views
from toolbox_scl.views import (
    Views,
    check_views,
    image_codes,
    labels_of,
    over_ranks,
    sentence_codes,
    sets_of,
    two_branches,
)

VIEWS = ("i1", "t1", "i2", "t2")  # image and text of the first branch, of the second
CROSS_BRANCH = ("i1i2", "t1t2", "i1t2", "i2t1")
PAIRS = (*CROSS_BRANCH, "i1t1", "i2t2")
LABEL_LOSSES = ("scl", "unicl", "ce", "nt_xent", "none")
MODES = ("joint", "pairwise")
FORMS = ("mean", "sum")
GATHERS = ("all", "local")

_SOFTMAX = "-E_a E_p log[exp(<a, p> / {tau:g}) / sum_k exp(<a, k> / {tau:g})]"
FORMULAS = {
    "scl joint": f"{_SOFTMAX} over i1, t1, i2, t2; y_p = y_a",
    "scl pairwise": f"mean over {{pairs}} of {_SOFTMAX}; y_p = y_a",
    "nt_xent joint": f"{_SOFTMAX} over i1, t1, i2, t2; p of the same item",
    "nt_xent pairwise": f"mean over {{pairs}} of {_SOFTMAX}; p of the same item",
    "unicl": "-E_i E_p log softmax_p(<i, t> / {tau:g}), and from texts to images; y_p = y_i",
    "ce": "CE(C_i(i), y) + CE(C_t(t), y), mean over the branches",
    "none": "0",
}


class LabelContrast(Objective):
    """Codes of images and captions of one label attract each other, over both branches of a game (SCL).

    The game has two branches whose i-th items share a label. Images are encoded by a network of the game;
    sentence codes are those of ``condition.codes``. Of a generator's turn the fakes are compared, with
    constant sentence codes; of an encoder's turn the real images. It is one term of both branches together.

    Gradient accumulation contrasts the images of a part with each other, not those of the whole batch.

    Args:
        label_loss: 'scl', or in the same place 'unicl' (images with texts alone), 'ce' (cross-entropy),
            'nt_xent' (each item is a label of its own) or 'none' (the term is 0).
        mode: 'joint': one softmax over all four codes of all items; 'pairwise': the mean of two-view terms.
        pairs: of mode 'pairwise': some of i1i2, t1t2, i1t2, i2t1, i1t1, i2t2 (i = image, t = text, of branch
            1 or 2). Default: the first four, which cross the branches.
        temperature: tau.
        teaches: the network whose loss it is: a generator, one of the encoders, or the ``classifier``.
        encoder: network with ``encode_images(images) -> code (N, D)``, or ``(code, regions)``; or a
            discriminator that looks through CLIP.
        text_encoder: network whose ``encode_text(ids, lengths)`` (or ``encode_tokens(ids)``) gives the
            sentence codes with gradients, for pre-training; None = ``condition.codes``.
        labels: 'equal' (of ``condition.labels``; below 0 = none), 'any' (sets of labels that share one) or
            'jaccard' (by the share of labels in common).
        label_set: field of ``condition.extra``, or of the batch, that holds the sets, (N, C) of truth values.
        ignore_overlap: with 'equal': pairs of other labels whose sets overlap are no negatives either.
        form: of 'unicl': 'mean' over positives and directions, or 'sum'.
        classifier: of 'ce': a network of the game, a LabelClassifiers, or the config of one, which is then
            part of the objective and moves with ``teaches``. A generator needs a network, trained before.
        gather: 'all': contrast the items of all ranks; 'local': those of each rank.

    Raises:
        ValueError: for unknown names, and arguments that do not go together.
    """

    couples_branches = True

    def __init__(
        self,
        label_loss: str = "scl",
        mode: str = "joint",
        pairs: Sequence[str] | None = None,
        temperature: float = 0.5,
        teaches: str = "generator",
        encoder: str = "image_encoder",
        text_encoder: str | None = None,
        labels: str = "equal",
        label_set: str = "label_set",
        ignore_overlap: bool = False,
        form: str = "mean",
        classifier: str | Mapping[str, Any] | None = None,
        gather: str = "all",
    ) -> None:
        super().__init__()
        _check_one_of(LABEL_LOSSES, label_loss=label_loss)
        _check_one_of(MODES, mode=mode)
        _check_one_of(RULES, labels=labels)
        _check_one_of(FORMS, form=form)
        _check_one_of(GATHERS, gather=gather)
        check_positive(temperature=temperature)
        if mode == "pairwise" and label_loss in ("unicl", "ce"):
            raise ValueError(f"mode='pairwise' goes with label_loss='scl' or 'nt_xent', not {label_loss!r}")
        if ignore_overlap and labels != "equal":
            raise ValueError(f"ignore_overlap=True goes with labels='equal', not {labels!r}")
        if text_encoder is not None and teaches not in (encoder, text_encoder, classifier):
            raise ValueError(
                f"text_encoder={text_encoder!r} goes with pre-training (teaches={encoder!r}): against "
                "a generator sentence codes are constants"
            )
        self.label_loss = label_loss
        self.mode = mode
        self.pairs = _checked_pairs(pairs, mode)
        self.temperature = temperature
        self.teaches = teaches
        self.encoder = encoder
        self.text_encoder = text_encoder
        self.labels = labels
        self.label_set = label_set
        self.ignore_overlap = ignore_overlap
        self.form = form
        self.gather = gather
        self._log: dict[str, Tensor] = {}
        self._set_classifier(classifier)
        key = f"{label_loss} {mode}" if label_loss in ("scl", "nt_xent") else label_loss
        self.formulas = {teaches: FORMULAS[key].format(tau=temperature, pairs=", ".join(self.pairs))}

    def _set_classifier(self, classifier: str | Mapping[str, Any] | None) -> None:
        self.classifier: str | None = classifier if isinstance(classifier, str) else None
        self.own_classifier: nn.Module | None = None
        if self.label_loss != "ce":
            if classifier is not None:
                raise ValueError(f"classifier goes with label_loss='ce', not {self.label_loss!r}")
            return
        if classifier is None:
            raise ValueError(
                "label_loss='ce' needs classifier=: the name of a LabelClassifiers among the networks, or "
                "dict(type='LabelClassifiers', classes=..., code_dim=...)"
            )
        if isinstance(classifier, str):
            return
        if not self._pretrains:
            raise ValueError(
                f"classifier={dict(classifier)!r} would be trained on generated images: name a network that "
                "pre-training has trained (weights=dict(stage=...))"
            )
        from toolbox.registry import build

        self.own_classifier = build(classifier, "network", "classifier")
        self.trains = self.teaches

    @property
    def _pretrains(self) -> bool:
        """Whether an encoder or the classifier is taught, on real images."""
        return self.teaches in (self.encoder, self.text_encoder, self.classifier)

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the network that is taught."""
        return {self.teaches: self.contrast}

    def contrast(self, turn: Turn) -> Tensor:
        """The term of both branches, in the first branch's turn; 0 in the other's.

        Raises:
            ValueError: for a game without two branches, items without labels or codes, and, in the first
                iteration, a batch in which nothing can be told apart.
        """
        first, second = two_branches(turn)
        if self.label_loss == "none" or turn is not first:
            return torch.zeros((), device=turn.real.images.device)
        samples = [branch.real if self._pretrains else branch.fake for branch in (first, second)]
        if self.label_loss == "ce":
            return self._cross_entropy([first, second], samples)
        views = self._views([first, second], samples)
        if self.gather == "all":
            views = over_ranks(views)
        positives = self._positives(views)
        if turn.iteration == 0:
            check_views(views, positives.weights)
        return self._loss(views.codes, positives)

    def _views(self, branches: Sequence[Turn], samples: Sequence[Sample]) -> Views:
        codes: dict[str, Tensor] = {}
        for number, (branch, sample) in enumerate(zip(branches, samples, strict=True), start=1):
            codes[f"i{number}"] = image_codes(branch, sample, self.encoder)
            codes[f"t{number}"] = sentence_codes(branch, sample, self.text_encoder)
        shapes = {name: tuple(code.shape) for name, code in codes.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"LabelContrast: codes have shapes {shapes}: images and texts need one space")
        labels, sets = None, None
        if self.label_loss != "nt_xent":
            if self.labels == "equal":
                labels = torch.cat([labels_of(sample.condition) for sample in samples])
            if self.labels != "equal" or self.ignore_overlap:
                both = zip(branches, samples, strict=True)
                sets = torch.cat([sets_of(*each, self.label_set) for each in both])
        return Views(codes, labels, sets)

    def _loss(self, codes: Mapping[str, Tensor], positives: Positives) -> Tensor:
        weights, ignored = positives
        if self.label_loss == "unicl":
            images, texts = torch.cat([codes["i1"], codes["i2"]]), torch.cat([codes["t1"], codes["t2"]])
            return losses.unified_contrast(images, texts, weights, self.temperature, self.form)
        chosen = [VIEWS] if self.mode == "joint" else [(pair[:2], pair[2:]) for pair in self.pairs]
        terms = []
        for names in chosen:
            rows = [int(name[1]) - 1 for name in names]  # the branch of each view
            terms.append(
                losses.supervised_contrast(
                    [codes[name] for name in names],
                    _blocks(weights, rows),
                    self.temperature,
                    None if ignored is None else _blocks(ignored, rows),
                )
            )
        return torch.stack(terms).mean()

    def _positives(self, views: Views) -> Positives:
        """Among the 2 N items of both branches."""
        n = len(views.codes["i1"])
        if self.label_loss == "nt_xent":
            none = torch.zeros(2 * n, 2 * n, dtype=torch.bool, device=views.codes["i1"].device)
            return with_own_views(Positives(none), 2)
        return with_own_views(positives_by(self.labels, views.labels, views.sets, self.ignore_overlap), 2)

    def _cross_entropy(self, branches: Sequence[Turn], samples: Sequence[Sample]) -> Tensor:
        """Mean over the branches of both classifiers' losses, over items that have a label."""
        terms, shares = [], []
        for branch, sample in zip(branches, samples, strict=True):
            own = self.own_classifier
            network: Any = branch.network(str(self.classifier)) if own is None else own
            truth, known = self._truth(branch, sample, network.image.out_features)
            images = image_codes(branch, sample, self.encoder)
            texts = sentence_codes(branch, sample, self.text_encoder)
            for logits in (network.image(images), network.text(texts)):
                terms.append(mean_over_selected(losses.label_cross_entropy(logits, truth), known))
            shares.append(known.float().mean())
        self._log = {"labelled": torch.stack(shares).mean().detach()}
        return torch.stack(terms).sum() / len(branches)

    def _truth(self, branch: Turn, sample: Sample, classes: int) -> tuple[Tensor, Tensor]:
        """Labels (N,) or sets (N, C), and who has any (N,); numbers beyond the classes are none."""
        if self.labels == "equal":
            labels = labels_of(sample.condition)
            return labels.where(labels < classes, -1), (labels >= 0) & (labels < classes)
        sets = sets_of(branch, sample, self.label_set)
        return sets, sets.any(dim=1)

    def log(self) -> dict[str, Tensor]:
        """Of 'ce': share of items that have a label."""
        values, self._log = self._log, {}
        return values


def _blocks(pairs: Tensor, branches: Sequence[int]) -> Tensor:
    """(V N, V N) for views of these branches (0 or 1), from (2 N, 2 N)."""
    n = len(pairs) // 2
    parts = pairs.view(2, n, 2, n)[branches][:, :, branches]  # (V, N, V, N)
    return parts.reshape(len(branches) * n, len(branches) * n)


def _checked_pairs(pairs: Sequence[str] | None, mode: str) -> tuple[str, ...]:
    if pairs is None:
        return CROSS_BRANCH
    if mode != "pairwise":
        raise ValueError(f"pairs={list(pairs)!r} goes with mode='pairwise', not {mode!r}")
    if isinstance(pairs, str) or not pairs:
        raise ValueError(f"pairs={pairs!r} must be a list of some of {', '.join(PAIRS)}")
    for pair in pairs:
        _check_one_of(PAIRS, pairs=pair)
    return tuple(pairs)


def _check_one_of(allowed: Any, **arguments: Any) -> None:
    for name, value in arguments.items():
        if value not in allowed:
            raise ValueError(
                f"{name}={value!r}{near_miss(str(value), list(allowed))}; allowed: {', '.join(allowed)}"
            )
