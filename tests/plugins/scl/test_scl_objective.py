"""The objective: what is compared with what in which phase, ranks, and its faults in one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.plugins.scl.toy import LABELS, D, networks, turns
from toolbox.interfaces import Sample
from toolbox.registry import BuildError, build
from toolbox.testing import check_objective
from toolbox_scl.classifiers import LabelClassifiers
from toolbox_scl.losses import supervised_contrast, unified_contrast
from toolbox_scl.objective import PAIRS, LabelContrast

PRETRAINING = dict(teaches="image_encoder", text_encoder="text_encoder")


def codes_of_fakes(both: list[Any]) -> list[Tensor]:
    """i1, t1, i2, t2."""
    found = []
    for turn in both:
        found.append(turn.network("image_encoder").encode_images(turn.fake.images)[0])
        found.append(turn.fake.condition.codes.sentence)
    return found


def loss_of(**arguments: Any) -> Tensor:
    return LabelContrast(**arguments).contrast(turns()[0])


def test_joint_loss_of_generated_images() -> None:
    expected = supervised_contrast(codes_of_fakes(turns()), torch.tensor(LABELS), 0.5)
    torch.testing.assert_close(loss_of(), expected)
    expected = supervised_contrast(codes_of_fakes(turns()), torch.arange(6), 0.1)
    torch.testing.assert_close(loss_of(label_loss="nt_xent", temperature=0.1), expected)


@pytest.mark.parametrize("pairs", [None, ["i1i2"], ["i1t1", "t1t2"], list(PAIRS)])
def test_pairwise_loss(pairs: list[str] | None) -> None:
    codes = dict(zip(("i1", "t1", "i2", "t2"), codes_of_fakes(turns()), strict=True))
    each = [
        supervised_contrast([codes[pair[:2]], codes[pair[2:]]], torch.tensor(LABELS), 0.5)
        for pair in pairs or ["i1i2", "t1t2", "i1t2", "i2t1"]
    ]
    torch.testing.assert_close(loss_of(mode="pairwise", pairs=pairs), torch.stack(each).mean())


@pytest.mark.parametrize("form", ["mean", "sum"])
def test_images_with_texts_alone(form: str) -> None:
    i1, t1, i2, t2 = codes_of_fakes(turns())
    both = torch.cat([i1, i2]), torch.cat([t1, t2])
    expected = unified_contrast(*both, torch.tensor(LABELS * 2), 0.5, form)
    torch.testing.assert_close(loss_of(label_loss="unicl", form=form), expected)


def test_the_second_branch_and_none_add_nothing() -> None:
    both = turns()
    assert LabelContrast.couples_branches
    assert float(LabelContrast().contrast(both[1])) == 0.0
    assert float(LabelContrast(label_loss="none").contrast(both[0])) == 0.0
    assert both[0].network("image_encoder").calls == 0


def test_hidden_labels_are_labels_of_their_own() -> None:
    hidden = LabelContrast().contrast(turns(labels=[0, -1, -1, 2, 0, 2])[0])
    own = LabelContrast().contrast(turns(labels=[0, 7, 8, 2, 0, 2])[0])
    torch.testing.assert_close(hidden, own)


def test_pretraining_teaches_both_encoders_on_real_images() -> None:
    parts = networks()
    LabelContrast(**PRETRAINING).contrast(turns("image_encoder", parts=parts)[0]).backward()
    for name in ("image_encoder", "text_encoder"):
        assert all(p.grad is not None and p.grad.any() for p in parts[name].parameters())
    assert all(p.grad is None for p in parts["generator"].parameters())


def test_against_a_generator_sentence_codes_are_constants() -> None:
    both = turns()
    codes = both[0].real.condition.codes.sentence.requires_grad_()
    LabelContrast().contrast(both[0]).backward()
    assert codes.grad is None
    assert all(p.grad is not None for p in both[0].network("generator").parameters())


def test_images_are_encoded_once_for_all_terms_of_a_turn() -> None:
    both = turns()
    first, second = LabelContrast(), LabelContrast(label_loss="unicl")
    first.contrast(both[0]) + second.contrast(both[0])
    assert both[0].network("image_encoder").calls == 2  # one a branch


SETS = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 0, 0], [0, 1, 1]])


def with_sets(**arguments: Any) -> Tensor:
    labels = [0, 1, 2, 0, -1, 2]
    return LabelContrast(**arguments).contrast(turns(labels=labels, label_set=SETS)[0])


def test_sets_of_labels() -> None:
    codes = codes_of_fakes(turns(labels=[0, 1, 2, 0, -1, 2], label_set=SETS))
    both = SETS.float() @ SETS.float().t()
    either = (SETS[:, None] | SETS[None, :]).sum(-1)
    own = torch.eye(6)
    torch.testing.assert_close(with_sets(labels="any"), supervised_contrast(codes, (both + own) > 0, 0.5))
    shares = torch.where(either > 0, both / either.clamp(min=1), own)
    torch.testing.assert_close(with_sets(labels="jaccard"), supervised_contrast(codes, shares, 0.5))


def test_overlapping_sets_are_no_negatives() -> None:
    labels = torch.tensor([0, 1, 2, 0, 9, 2])
    same = labels[:, None] == labels[None, :]
    overlap = (SETS.float() @ SETS.float().t() > 0) & ~same
    codes = codes_of_fakes(turns(labels=[0, 1, 2, 0, -1, 2], label_set=SETS))
    expected = supervised_contrast(codes, same, 0.5, ignored=overlap)
    torch.testing.assert_close(with_sets(ignore_overlap=True), expected)
    assert with_sets(ignore_overlap=True) < with_sets()


def test_sets_may_be_a_field_of_the_batch() -> None:
    both = turns()
    for turn in both:
        turn._real = turn._real.replace(extras={"categories": SETS})
    arguments = dict(labels="any", label_set="categories")
    assert LabelContrast(teaches="image_encoder", **arguments).contrast(both[0]).isfinite()
    of_fakes = LabelContrast(**arguments).contrast(both[0])
    torch.testing.assert_close(of_fakes, LabelContrast(labels="any").contrast(turns(label_set=SETS)[0]))
    both = turns()
    both[0]._real = both[0]._real.replace(extras={"categories": SETS})
    both[0].once("as asked", lambda: both[1].fake)
    with pytest.raises(ValueError, match="'categories' is of the real images, and the generated ones have"):
        LabelContrast(**arguments).contrast(both[0])


def test_cross_entropy_moves_its_classifiers_in_pretraining() -> None:
    config = dict(type="LabelClassifiers", classes=3, code_dim=D)
    objective = LabelContrast(label_loss="ce", classifier=config, **PRETRAINING)
    assert objective.trains == "image_encoder" and len(list(objective.parameters())) == 4
    both = turns("image_encoder", labels=[0, 1, -1, 2, 0, 2])
    loss = objective.contrast(both[0])
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())
    own = objective.own_classifier
    known = torch.tensor([0, 1, 3, 4, 5])
    by_hand = torch.zeros(())
    for turn in both:
        codes = turn.network("image_encoder").encode_images(turn.real.images)[0]
        texts = turn.network("text_encoder").encode_text(turn.real.condition.text, None).sentence
        for layer, code in ((own.image, codes), (own.text, texts)):
            truth = torch.tensor([0, 1, 2, 0, 2])
            by_hand = by_hand + torch.nn.functional.cross_entropy(layer(code)[known], truth) / 2
    torch.testing.assert_close(loss, by_hand)
    assert objective.log() == {"labelled": pytest.approx(5 / 6)} and not objective.log()
    both = turns("image_encoder", labels=[0, 1, 77, 2, 0, 2])  # an image without a label has its own number
    torch.testing.assert_close(objective.contrast(both[0]), by_hand)


def test_cross_entropy_against_a_generator_takes_a_trained_classifier() -> None:
    parts = {**networks(), "classifiers": LabelClassifiers(3, D).requires_grad_(False)}
    objective = LabelContrast(label_loss="ce", classifier="classifiers")
    objective.contrast(turns(parts=parts)[0]).backward()
    assert objective.trains is None and all(p.grad is not None for p in parts["generator"].parameters())


def test_classifiers_are_taught_alone_on_codes_that_stand_still() -> None:
    parts = networks()
    for network in parts.values():
        network.requires_grad_(False)
    parts["classifiers"] = LabelClassifiers(3, encoder=parts["image_encoder"])
    objective = LabelContrast(
        label_loss="ce", classifier="classifiers", teaches="classifiers", text_encoder="text_encoder"
    )
    objective.contrast(turns("classifiers", parts=parts)[0]).backward()
    assert all(p.grad is not None and p.grad.any() for p in parts["classifiers"].parameters())
    with pytest.raises(ValueError, match="code_dim is not given, and no encoder says it"):
        LabelClassifiers(3, encoder=torch.nn.Identity())


def test_a_discriminator_that_looks_through_clip_gives_its_embedding() -> None:
    class Looks(torch.nn.Module):
        def __init__(self, encoder: Any) -> None:
            super().__init__()
            self.encoder, self.looks = encoder, 0

        def look(self, images: Tensor) -> Any:
            self.looks += 1
            return SimpleNamespace(embedding=self.encoder.encode_images(images)[0])

    parts = networks()
    parts["judge"] = Looks(parts["image_encoder"])
    both = turns(parts=parts)
    torch.testing.assert_close(LabelContrast(encoder="judge").contrast(both[0]), loss_of())
    both[0].seen("judge", both[0].fake)
    assert parts["judge"].looks == 2  # once a branch


class WithTwin(LabelContrast):
    """Gives the single turn of the conformance check a second branch."""

    def contrast(self, turn: Any) -> Tensor:
        twin = turns(turn.player, parts=turn.networks)[1]
        turn.branches = [turn, twin]
        return super().contrast(turn)


@pytest.mark.parametrize("label_loss", ["scl", "unicl", "nt_xent"])
def test_keeps_the_contract(label_loss: str) -> None:
    sample: Sample = turns()[0].real
    check_objective(WithTwin(label_loss, **PRETRAINING), networks(), sample)


def test_formula_says_what_is_computed() -> None:
    assert "over i1, t1, i2, t2; y_p = y_a" in LabelContrast().formulas["generator"]
    assert "mean over i1i2 of" in LabelContrast(mode="pairwise", pairs=["i1i2"]).formulas["generator"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(label_loss="slc"), r"label_loss='slc' - did you mean 'scl'\?; allowed: scl, unicl, ce"),
        (
            dict(mode="pairwise", label_loss="unicl"),
            r"mode='pairwise' goes with label_loss='scl' or 'nt_xent'",
        ),
        (dict(mode="joined"), r"mode='joined' - did you mean 'joint'\?"),
        (dict(mode="pairwise", pairs=["i1i3"]), r"pairs='i1i3' - did you mean"),
        (dict(pairs=["i1i2"]), r"pairs=\['i1i2'\] goes with mode='pairwise', not 'joint'"),
        (dict(mode="pairwise", pairs=[]), r"pairs=\[\] must be a list of some of i1i2"),
        (dict(labels="jacard"), r"labels='jacard' - did you mean 'jaccard'\?"),
        (dict(labels="any", ignore_overlap=True), r"ignore_overlap=True goes with labels='equal'"),
        (dict(gather="al"), r"gather='al' - did you mean 'all'\?"),
        (dict(temperature=0.0), r"temperature=0.0 must be a number above 0"),
        (dict(text_encoder="text_encoder"), r"text_encoder='text_encoder' goes with pre-training"),
        (dict(label_loss="ce"), r"label_loss='ce' needs classifier="),
        (dict(classifier="classifiers"), r"classifier goes with label_loss='ce', not 'scl'"),
        (
            dict(label_loss="ce", classifier=dict(type="LabelClassifiers", classes=3, code_dim=D)),
            r"would be trained on generated images: name a network",
        ),
    ],
)
def test_faults_of_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelContrast(**arguments)


def test_a_misspelt_argument_of_a_config() -> None:
    with pytest.raises(BuildError, match=r"temprature"):
        build(dict(type="LabelContrast", temprature=0.1), "objective", "model.objectives.scl")


def without_codes() -> list[Any]:
    both = turns()
    for turn in both:
        turn._real = turn._real.replace(condition=turn._real.condition.replace(codes=None))
    return both


def other_partners() -> list[Any]:
    both = turns()
    both[1]._real.condition.labels = torch.tensor(LABELS).flip(0)
    return both


def one_branch() -> list[Any]:
    first, _ = turns()
    first.branches = [first]
    return [first]


@pytest.mark.parametrize(
    ("both", "arguments", "message"),
    [
        (one_branch, {}, "compares two branches of a batch, the game has 1: give model.branches"),
        (lambda: turns(labels=None), {}, "condition.labels is None: give the game data with labels"),
        (lambda: turns(labels=[-1] * 4), {}, "no item of the batch has a label"),
        (lambda: turns(labels=[5] * 4), {}, "the 4 items of the batch share one label"),
        (lambda: turns(labels=[5]), {}, "a batch of one item has no negatives"),
        (other_partners, {}, "item 0 has label 0 in the first branch and 2 in the second"),
        (without_codes, {}, "condition.codes is None: give the game a conditioner that encodes captions"),
        (turns, dict(encoder="text_encoder"), "is a ToyTexts, which has no encode_images"),
        (
            lambda: turns(label_sets=SETS),
            dict(labels="any"),
            r"no field is called 'label_set' - did you mean 'label_sets'\?; there are \['label_sets'\]",
        ),
    ],
)
def test_faults_of_a_game(both: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelContrast(**arguments).contrast(both()[0])


def test_a_batch_of_one_label_by_chance_stops_no_run() -> None:
    assert LabelContrast().contrast(turns(labels=[5] * 4, iteration=7)[0]).isfinite()


def test_without_labels_where_none_are_needed() -> None:
    assert LabelContrast(label_loss="nt_xent").contrast(turns(labels=None)[0]).isfinite()
