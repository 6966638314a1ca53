"""One pass for many metrics, the cache of real statistics, files of others, records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.metrics.toys import Blocks, Pixels, fakes, reals, sampler
from toolbox.interfaces import Sample
from toolbox.metrics import FID, KID, ClassifierAccuracy, IntraFID, PrecisionRecall, evaluate
from toolbox.metrics.reference import ReferenceCache, reference_description


def test_equals_feeding_by_hand() -> None:
    metric = FID(Blocks())
    metric.update_real(reals())
    metric.update_fake(fakes(50))
    values = evaluate(sampler, Pixels(), [FID(Blocks())], n_fake=50)
    assert values == {"fid[blocks,50]": pytest.approx(metric.compute()[""], rel=1e-8)}


def test_batch_size_changes_nothing() -> None:
    def values(batch_size: int) -> dict[str, float]:
        metrics = [FID(Blocks()), KID(Blocks(), subsets=3, subset_size=20), PrecisionRecall(Blocks())]
        return evaluate(sampler, Pixels(), metrics, n_fake=50, batch_size=batch_size)

    assert values(7) == pytest.approx(values(50), rel=1e-8)


def test_each_network_sees_each_image_once() -> None:
    first, second, other = Blocks(), Blocks(), Blocks("double", scale=2)
    metrics = [FID(first), IntraFID(second), ClassifierAccuracy(first), FID(other)]
    evaluate(sampler, Pixels(90), metrics, n_fake=60, batch_size=30)
    assert (first.calls + second.calls, other.calls) == (3 + 2, 3 + 2)  # batches of reals + of fakes


def test_metrics_of_different_sizes_share_a_pass() -> None:
    values = evaluate(sampler, Pixels(), [FID(Blocks(), 20), FID(Blocks())], n_fake=50, batch_size=16)
    alone = evaluate(sampler, Pixels(), [FID(Blocks())], n_fake=20)
    assert values["fid[blocks,20]"] == pytest.approx(alone["fid[blocks,20]"], rel=1e-8)


def test_further_values_have_names_of_their_own() -> None:
    values = evaluate(sampler, Pixels(), [KID(Blocks(), subsets=3, subset_size=20)], n_fake=50)
    assert list(values) == ["kid[blocks,50,3x20]", "kid[blocks,50,3x20].std"]


class Broken(PrecisionRecall):
    """Fails where it is told to."""

    title = "broken"

    def __init__(self, at: str) -> None:
        super().__init__(Blocks("other", 2))
        self.at = at

    def update_fake(self, sample: Sample) -> None:
        if self.at == "update":
            raise KeyError("no such thing")
        super().update_fake(sample)

    def compute(self) -> dict[str, float]:
        raise ValueError("it cannot\nbe done")


@pytest.mark.parametrize(
    ("at", "name", "why"),
    [
        ("update", "broken[other,0]", "KeyError: 'no such thing'"),
        ("compute", "broken[other,50]", "it cannot be done"),
    ],
)
def test_a_metric_that_fails_loses_itself_alone(at: str, name: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    alone = evaluate(sampler, Pixels(), [FID(Blocks())], n_fake=50)
    with pytest.raises((KeyError, ValueError)):
        evaluate(sampler, Pixels(), [Broken(at), FID(Blocks())], n_fake=50)
    failures: dict[str, str] = {}
    metrics = [Broken(at), FID(Blocks())]
    assert evaluate(sampler, Pixels(), metrics, n_fake=50, record=file, failures=failures) == alone
    assert failures == {name: why}
    lost, kept = map(json.loads, file.read_text().splitlines())
    assert (lost["metric"], lost["value"], lost["error"]) == (name, None, why)
    assert kept["value"] == alone["fid[blocks,50]"]


def test_few_images_make_smaller_subsets_and_the_name_says_so(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    values = evaluate(sampler, Pixels(60), [KID(Blocks(), subsets=3)], n_fake=50, record=file)
    assert values["kid[blocks,50,3x50]"] == pytest.approx(
        evaluate(sampler, Pixels(60), [KID(Blocks(), subsets=3, subset_size=50)], n_fake=50)[
            "kid[blocks,50,3x50]"
        ]
    )
    note = json.loads(file.read_text())["note"]
    assert note == "subsets of 50 images, not 1000: there are no more"


def test_same_names_are_refused() -> None:
    with pytest.raises(ValueError, match="two metrics are named 'fid\\[blocks,50\\]'"):
        evaluate(sampler, Pixels(), [FID(Blocks()), FID(Blocks())], n_fake=50)


def test_a_sampler_that_returns_another_number() -> None:
    def short(index: torch.Tensor) -> Sample:
        return sampler(index[:-1])

    with pytest.raises(ValueError, match="sampler returned 49 images for 50 indices"):
        evaluate(short, Pixels(), [FID(Blocks())], n_fake=50)


def test_images_of_two_sizes_are_refused() -> None:
    data = Pixels()
    data.image_size = 16
    with pytest.raises(ValueError, match="generated images are 8x8 and real ones 16x16"):
        evaluate(sampler, data, [FID(Blocks())], n_fake=50)


def test_real_statistics_are_computed_once(tmp_path: Path) -> None:
    data = Pixels()
    first = evaluate(sampler, data, [FID(Blocks())], n_fake=50, cache_dir=tmp_path)
    reads = data.reads
    assert evaluate(sampler, data, [FID(Blocks())], n_fake=50, cache_dir=tmp_path) == first
    assert data.reads == reads
    evaluate(sampler, data, [FID(Blocks()), PrecisionRecall(Blocks())], n_fake=50, cache_dir=tmp_path)
    assert data.reads == reads + len(data)  # features were not stored yet; moments stay
    evaluate(sampler, data, [FID(Blocks()), PrecisionRecall(Blocks())], n_fake=50, cache_dir=tmp_path)
    assert data.reads == reads + len(data)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_data_or_extractor_has_other_statistics(tmp_path: Path) -> None:
    for data, extractor in ((Pixels(), Blocks()), (Pixels(seed=1), Blocks()), (Pixels(), Blocks(scale=3))):
        with_cache = evaluate(sampler, data, [FID(extractor)], n_fake=50, cache_dir=tmp_path)
        assert with_cache == evaluate(sampler, data, [FID(extractor)], n_fake=50)
    assert len(list(tmp_path.glob("*.npz"))) == 3


def cached_file(folder: Path) -> Path:
    evaluate(sampler, Pixels(), [FID(Blocks())], n_fake=50, cache_dir=folder)
    return next(folder.glob("*.npz"))


def test_a_cached_file_of_other_data_is_refused(tmp_path: Path) -> None:
    file = cached_file(tmp_path / "a")
    wrong = ReferenceCache(tmp_path / "b").path(reference_description(Pixels(seed=1).fingerprint(), Blocks()))
    wrong.parent.mkdir()
    wrong.write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match=r"holds statistics of another data .*delete the file"):
        evaluate(sampler, Pixels(seed=1), [FID(Blocks())], n_fake=50, cache_dir=tmp_path / "b")


def test_a_torn_cached_file_is_refused(tmp_path: Path) -> None:
    file = cached_file(tmp_path)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match=f"{file.name} cannot be read"):
        evaluate(sampler, Pixels(), [FID(Blocks())], n_fake=50, cache_dir=tmp_path)


def test_cached_nan_is_refused(tmp_path: Path) -> None:
    file = cached_file(tmp_path)
    with np.load(file) as arrays:
        broken = {**arrays, "moments.sum": np.full((2, 12), np.nan)}
    np.savez(file, **broken)
    with pytest.raises(ValueError, match="'sum' holds values that are not finite; delete the file"):
        evaluate(sampler, Pixels(), [FID(Blocks())], n_fake=50, cache_dir=tmp_path)


def test_cached_reals_are_not_part_of_the_state(tmp_path: Path) -> None:
    metric = FID(Blocks())
    evaluate(sampler, Pixels(), [metric], n_fake=50, cache_dir=tmp_path)
    assert all(key.startswith("fake.") for key in metric.state())
    with pytest.raises(ValueError, match="on top of cached statistics"):
        metric.update_real(reals())


def write_gaussian(path: Path) -> Path:
    real = reals()
    x = Blocks()(real.images).numpy().astype(np.float64)
    np.savez(path, mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    return path


def test_statistics_of_other_programs(tmp_path: Path) -> None:
    file = write_gaussian(tmp_path / "real.npz")
    metric = FID(Blocks(), reference=file, reference_protocol="blocks")
    data = Pixels()
    values = evaluate(sampler, data, [metric], n_fake=50)
    assert data.reads == 0
    assert values == pytest.approx(evaluate(sampler, data, [FID(Blocks())], n_fake=50), rel=1e-5)


def test_errors_of_foreign_statistics(tmp_path: Path) -> None:
    file = write_gaussian(tmp_path / "real.npz")
    with pytest.raises(ValueError, match="reference_protocol=None: the metric uses the extractor 'blocks'"):
        FID(Blocks(), reference=file)
    with pytest.raises(FileNotFoundError, match="no such file"):
        FID(Blocks(), reference=tmp_path / "none.npz", reference_protocol="blocks")
    (tmp_path / "old.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"only \.npz files are read"):
        FID(Blocks(), reference=tmp_path / "old.pkl", reference_protocol="blocks")
    np.savez(tmp_path / "bad.npz", mu=np.zeros(3), sigma=np.eye(3))
    with pytest.raises(ValueError, match=r"mu \(3,\) and sigma \(3, 3\), expected \(12,\)"):
        FID(Blocks(), reference=tmp_path / "bad.npz", reference_protocol="blocks")
    np.savez(tmp_path / "objects.npz", mu=np.array([object()]), sigma=np.eye(1))
    with pytest.raises(ValueError, match="without pickles"):
        FID(Blocks(), reference=tmp_path / "objects.npz", reference_protocol="blocks")


def test_a_record_says_what_was_measured(tmp_path: Path) -> None:
    record = tmp_path / "run" / "metrics.jsonl"
    metrics = [FID(Blocks()), IntraFID(Blocks())]
    values = evaluate(sampler, Pixels(), metrics, n_fake=60, seed=7, record=record)
    fid, intra = (json.loads(line) for line in record.read_text().splitlines())
    assert fid["value"] == values[fid["metric"]] and fid["metric"] == "fid[blocks,60]"
    assert (fid["n_real"], fid["n_fake"], fid["seed"]) == (90, 60, 7)
    assert fid["extractor"] == Blocks().fingerprint() and fid["data"]["fingerprint"] == Pixels().fingerprint()
    assert {"python", "torch", "numpy"} <= set(fid["versions"])
    assert intra["classes"]["2"]["n_real"] == 30
    assert fid["data"]["embedded"] is True
