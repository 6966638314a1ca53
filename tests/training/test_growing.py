"""Progressive growing: the published schedules, fades, batches, and that a run resumed in the middle of a
fade is exact.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import killing
import pytest
import torch
from torch import nn

from toolbox.config import load_config
from toolbox.data.stream import StreamSampler
from toolbox.models.growing import faded_images
from toolbox.models.pggan import PGGANDiscriminator, PGGANGenerator
from toolbox.models.stylegan import StyleGANGenerator
from toolbox.pipeline import train
from toolbox.training.game.game import Game
from toolbox.training.game.phases import PlanError
from toolbox.training.hooks.growing import GrowingBatches, Growth, ProgressiveGrowing

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = dict(image_size=16, channel_base=64, channel_max=8)
CONFIG = """
threads = 1
_growth = dict(image_size=8, start=4, kimg=0.02, fade_kimg=0.02, batch_sizes=[8, 4], lr_factors=[1.0, 0.5])
model = dict(
    type='Game', log_every=1,
    networks=dict(
        generator=dict(type='{family}Generator', image_size=8, latent_dim=4, channel_base=32, channel_max=4),
        discriminator=dict(type='{family}Discriminator', image_size=8, channel_base=32, channel_max=4)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    objectives=dict(
        real_or_fake=dict(type='WassersteinAdversarial'), penalty=dict(type='GradientPenalty'),
        drift=dict(type='Drift', weight=0.001)),
    average=dict(generator=dict(decay=0.5)))
train_dataloader = dict(
    batch_size=8, batch_sampler=dict(type='GrowingBatches', growth=_growth),
    dataset=dict(type='Stream', source=dict(type='EmbeddedFashion', image_size=8)))
optim_wrapper = dict(
    discriminator=dict(type='FiniteGradients', optimizer=dict(type='Adam', lr=1e-3, betas=(0, 0.99))),
    generator=dict(type='FiniteGradients', optimizer=dict(type='Adam', lr=1e-3, betas=(0, 0.99))))
train_cfg = dict(max_iters=12)
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=2, keep=0), journal=dict(type='Journal'),
    growing=dict(type='ProgressiveGrowing', growth=_growth))
"""


class TestSchedule:
    def test_pggan_as_published(self) -> None:
        """600 thousand images of each resolution and 600 of each fade, from 4x4 on (PGGAN, appendix A.1)."""
        growth = Growth(1024, 4)
        assert [growth.lod(k) for k in (0, 600, 900, 1200, 1800, 2100, 9600, 20000)] == [
            8,
            8,
            7.5,
            7,
            7,
            6.5,
            0,
            0,
        ]
        assert [growth.resolution(k) for k in (0, 600, 601, 1200, 1801, 9000, 9001)] == [
            4,
            4,
            8,
            8,
            16,
            512,
            1024,
        ]

    @pytest.mark.parametrize(
        ("name", "start", "batches"),
        [
            ("pggan_folder", 4, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 32}),
            ("stylegan_folder", 8, {8: 256, 16: 128, 32: 64, 64: 32, 128: 32}),
        ],
    )
    def test_configs_as_published(self, name: str, start: int, batches: dict[int, int]) -> None:
        config = load_config(CONFIGS / f"{name}.py")
        growth = Growth.read(config.hooks.growing.growth)
        assert growth == Growth.read(config.train_dataloader.batch_sampler.growth)
        assert (growth.start, growth.kimg, growth.fade_kimg) == (start, 600, 600)
        seen = {
            growth.resolution(k): (growth.batch_size(k), growth.lr_factor(k)) for k in range(0, 12001, 100)
        }
        assert seen == {size: (batch, 1.5 if size == 128 else 1.0) for size, batch in batches.items()}
        total = 12_000_000 if name.startswith("pggan") else 25_000_000
        assert (
            growth.images_at(config.train_cfg.max_iters - 1)
            < total
            <= growth.images_at(config.train_cfg.max_iters)
        )

    def test_optimisers_restart_when_a_fade_begins_or_ends(self) -> None:
        growth = Growth(16, 4, 1, 1)
        assert [k / 4 for k in range(1, 24) if growth.restarts((k - 1) / 4, k / 4)] == [1.25, 2.0, 3.25, 4.0]

    @pytest.mark.parametrize(
        "growth",
        [
            Growth(32, 4, 0.05, 0.03, (7, 5, 3)),
            Growth(16, 8, 0.1, 0, (16, 4)),
            Growth(32, 4, 0.04, 0.04, (8, 4, 2)),
            Growth(16, 4, 0.05, 0.03, (12, 10, 4)),
        ],
    )  # batches that end where a fade begins
    def test_images_are_those_of_all_batches_before(self, growth: Growth) -> None:
        shown = 0
        for iteration in range(120):
            assert growth.images_at(iteration) == shown
            shown += growth.batch_size(shown / 1000) or 0

    @pytest.mark.parametrize("name", ["pggan_folder", "stylegan_folder"])
    def test_optimisers_restart_once_at_each_edge(self, name: str) -> None:
        """Also where a batch ends exactly there, as in the quick versions."""
        growth = Growth.read(load_config(CONFIGS / f"{name}.py", quick=True).hooks.growing.growth)
        shown = [growth.images_at(iteration) / 1000 for iteration in range(1000)]
        restarts = [after for before, after in pairwise(shown) if growth.restarts(before, after)]
        assert restarts == [4.032, 8.0, 12.032, 16.0]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (dict(image_size=32, start=5), r"start=5 must be one of \[4, 8, 16, 32\]"),
            (dict(image_size=24), "power of two"),
            (dict(image_size=32, kimg=0), "kimg=0 must be a number above 0"),
            (dict(start=4), r"must be dict\(image_size=\.\.\."),
            (dict(image_size=32, fade=3), "growth has no key 'fade' - did you mean 'fade_kimg'"),
            (dict(image_size=32, batch_sizes=[0]), r"batch_sizes\[0\]=0 must be a whole number"),
        ],
    )
    def test_errors(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Growth.read(arguments)


class TestBatches:
    def batches(self, world: int = 1, rank: int = 0, first: int = 0) -> list[list[tuple[int, int]]]:
        sampler = StreamSampler(range(10), batch_size=8 // world, rank=rank, world=world)
        batches = GrowingBatches(
            sampler, 8 // world, dict(image_size=8, start=4, kimg=0.02, fade_kimg=0.02, batch_sizes=[8, 4])
        )
        batches.begin_at(first)
        return [batch for _, batch in zip(range(8), batches, strict=False)]

    def test_a_later_start_gives_the_same(self) -> None:
        whole = self.batches()
        assert [len(batch) for batch in whole] == [8, 8, 8, 4, 4, 4, 4, 4]
        assert [position for batch in whole for position, _ in batch] == list(range(44))
        assert self.batches(first=3)[:5] == whole[3:]

    def test_two_processes_share_one_batch(self) -> None:
        for whole, first, second in zip(self.batches(), self.batches(2, 0), self.batches(2, 1), strict=True):
            assert first + second == whole

    @pytest.mark.parametrize(
        ("sizes", "parts", "message"),
        [
            ([], 1, r"batch_sizes=\[\] must give a size for each resolution"),
            ([8, 3], 1, "multiple of the 2 processes"),
            ([6, 4], 1, r"batch_size=8 must be the largest of growth\.batch_sizes=\[6, 4\]"),
            ([8, 4], 2, "the phases repeat 2 times"),
        ],
    )
    def test_errors(self, sizes: list[int], parts: int, message: str) -> None:
        sampler = StreamSampler(range(10), batch_size=4, rank=0, world=2, parts=parts)
        with pytest.raises(PlanError, match=message):
            GrowingBatches(sampler, 4, dict(image_size=8, batch_sizes=sizes))


class TestNetworks:
    @pytest.mark.parametrize("lod", [0.0, 1.0, 2.0])
    def test_fades_are_continuous(self, lod: float) -> None:
        """A fade that has just begun or ended is the network before or after it."""
        images = torch.randn(2, 3, 16, 16)
        near = [
            faded_images(images, abs(lod - 1e-6)),
            faded_images(images, lod),
            faded_images(images, min(lod + 1e-6, 2.0)),
        ]
        torch.testing.assert_close(near[0], near[1], atol=1e-5, rtol=0)
        torch.testing.assert_close(near[2], near[1], atol=1e-5, rtol=0)
        expected = (
            nn.functional.avg_pool2d(images, 2 ** int(lod))
            .repeat_interleave(2 ** int(lod), 2)
            .repeat_interleave(2 ** int(lod), 3)
        )
        torch.testing.assert_close(near[1], expected)

    def test_half_faded_images_are_half_their_means(self) -> None:
        images = torch.randn(2, 3, 8, 8)
        means = nn.functional.avg_pool2d(images, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(faded_images(images, 0.25), 0.75 * images + 0.25 * means)

    @pytest.mark.parametrize(
        "network",
        [
            PGGANGenerator(latent_dim=4, **SMALL),
            PGGANDiscriminator(**SMALL),
            StyleGANGenerator(latent_dim=4, style_dim=4, mapping_layers=1, **SMALL),
        ],
    )
    def test_how_far_it_has_grown_is_part_of_the_weights(self, network: Any) -> None:
        network.lod = 1.375
        state = network.state_dict()
        network.lod = 0.0
        network.load_state_dict(state)
        assert network.lod == 1.375
        network.load_state_dict({name: value for name, value in state.items() if not name.endswith("lod")})
        assert network.lod == 0.0
        with pytest.raises(RuntimeError, match=r"lod=9\.0 must be from 0"):
            network.load_state_dict(
                {name: torch.tensor(9.0) if name.endswith("lod") else value for name, value in state.items()}
            )

    def test_styles_are_mixed_among_the_layers_in_use(self) -> None:
        network = StyleGANGenerator(
            latent_dim=4, style_dim=4, mapping_layers=1, style_mixing_prob=1.0, **SMALL
        ).train()
        network.lod = 1.5
        assert network.active_styles == 4 and network.n_styles == 6
        ws = network.generate(torch.randn(2, 4), None, torch.Generator().manual_seed(0)).extras["ws"]
        assert not torch.equal(ws[:, 0], ws[:, 3])


class StoppedError(RuntimeError):
    """A run that ends in the middle."""


@pytest.mark.parametrize("family", [pytest.param("PGGAN", marks=pytest.mark.slow), "StyleGAN"])
def test_a_run_resumed_in_the_middle_of_a_fade_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Iterations 3 to 7 fade the second resolution in; the one that is stopped had saved after 4."""
    file = tmp_path / "grow.py"
    file.write_text(CONFIG.format(family=family))
    whole = train(file, work_dir=tmp_path / "whole", evaluate=False, report=False)
    step = Game.train_step

    def until_5(game: Any, data: Any, optim_wrapper: Any) -> Any:
        if int(game.iteration) == 5:
            raise StoppedError
        return step(game, data, optim_wrapper)

    with monkeypatch.context() as patch:
        patch.setattr(Game, "train_step", until_5)
        with pytest.raises(StoppedError):
            train(file, work_dir=tmp_path / "part", evaluate=False, report=False)
    part = train(file, work_dir=tmp_path / "part", evaluate=False, report=False, resume=True)
    killing.assert_same_folder(whole, part)
    lods = [_lod(whole / f"iter_{i}.pth") for i in (2, 4, 6, 8, 10, 12)]
    assert lods == pytest.approx([1.0, 0.8, 0.4, 0.0, 0.0, 0.0])
    state = torch.load(whole / "iter_12.pth", weights_only=True)
    assert int(state["state_dict"]["images_seen"]) == 3 * 8 + 9 * 4
    assert all(group["lr"] == 0.0005 for one in state["optimizer"].values() for group in one["param_groups"])


def _lod(path: Path) -> float:
    """Of the iteration that ended there: generator, discriminator and averaged copy alike."""
    state = torch.load(path, weights_only=True)["state_dict"]
    found = {float(value) for name, value in state.items() if name.endswith(".lod")}
    assert len(found) == 1 and len([name for name in state if name.endswith(".lod")]) == 3
    return found.pop()


class TestHookErrors:
    def hooked(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **options: Any) -> None:
        file = tmp_path / "grow.py"
        file.write_text(CONFIG.format(family="PGGAN"))
        train(file, work_dir=tmp_path / "run", evaluate=False, report=False, options=options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"hooks.growing.networks": ["generatr"]}, "did you mean 'generator'"),
            (
                {"hooks.growing.growth.image_size": 16},
                r"growth\.image_size=16, but network 'generator' has image_size=8",
            ),
            (
                {"hooks.growing.growth.kimg": 0.03},
                r"growth\.kimg=0\.03, but train_dataloader\.batch_sampler\.growth\.kimg=0\.02: make",
            ),
            (
                {"hooks.growing.growth.batch_sizes": [8]},
                r"growth\.batch_sizes=\(8,\), but .*growth\.batch_sizes=\(8, 4\)",
            ),
            (
                {"train_dataloader.batch_sampler": None},
                r"the loader's batches do not grow: train_dataloader needs.*GrowingBatches",
            ),
        ],
    )
    def test_what_does_not_fit(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(PlanError, match=message):
            self.hooked(monkeypatch, tmp_path, **options)
        assert not list(tmp_path.rglob("*.pth"))

    def test_batches_of_another_size_than_expected(self) -> None:
        """What a loader of somebody's own may give."""
        game = SimpleNamespace(kimg=0.024, now=3)
        with pytest.raises(
            PlanError, match=r"asks for 4 images at iteration 3, the loader gave 8.*GrowingBatches"
        ):
            ProgressiveGrowing(
                dict(image_size=8, kimg=0.02, fade_kimg=0.02, batch_sizes=[8, 4])
            )._set_optimizers(None, game, 8)

    def test_a_network_that_does_not_grow(self) -> None:
        with pytest.raises(
            PlanError, match=r"'critic' is a Linear, which does not grow; PGGAN's and StyleGAN's do"
        ):
            ProgressiveGrowing(dict(image_size=8))._check(nn.Linear(1, 1), "critic")
