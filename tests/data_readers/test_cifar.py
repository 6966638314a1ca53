"""CIFAR from every layout, and what a torn, foreign or malicious file gets."""

from __future__ import annotations

import contextlib
import os
import pickle

import numpy as np
import pytest
from data_makers import TEN, class_folders, dump, mini_cifar, mini_cifar100, pack

from toolbox.data import cifar
from toolbox.data.base import ArraySet, DataError
from toolbox.data.cifar import CIFAR10, CIFAR100
from toolbox.data.embedded import EmbeddedFashion
from toolbox.data.pickles import load_arrays


@pytest.mark.parametrize("keys", [str, bytes])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickles_give_the_pixels_of_the_published_layout(tmp_path, keys, protocol):
    rows = mini_cifar(tmp_path, keys=keys, protocol=protocol)
    data = CIFAR10(tmp_path)
    assert (len(data), data.classes, data.image_size) == (20, list(TEN), 32)
    assert data.labels.tolist() == [i % 10 for i in range(20)]
    red, green, blue = rows[7].reshape(3, 32, 32)
    assert np.array_equal(data.image(7), np.stack([red, green, blue], axis=2))
    assert not data.embedded
    assert data.notice == ""


def test_root_may_be_the_folder_itself_and_train_is_a_word_for_split(tmp_path):
    mini_cifar(tmp_path)
    inner = tmp_path / "cifar-10-batches-py"
    assert CIFAR10(inner).fingerprint() == CIFAR10(tmp_path, train=True).fingerprint()
    assert CIFAR10(inner, train=False).fingerprint() == CIFAR10(tmp_path, split="test").fingerprint()
    assert len(CIFAR10(inner, split="test")) == 4


def test_archive_is_extracted_and_nothing_else_of_it(tmp_path):
    mini_cifar(tmp_path)
    pack(
        tmp_path, {"../escaped": b"x", "/tmp/escaped-absolute": b"x", "cifar-10-batches-py/readme.html": b"x"}
    )
    assert len(CIFAR10(tmp_path)) == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]
    assert not (tmp_path / "cifar-10-batches-py" / "readme.html").exists()
    assert not (tmp_path.parent / "escaped").exists()


def test_an_extraction_cut_short_is_finished_from_the_archive(tmp_path):
    mini_cifar(tmp_path)
    archive = pack(tmp_path)
    assert len(CIFAR10(tmp_path)) == 20
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    assert len(CIFAR10(tmp_path)) == 20
    archive.write_bytes(archive.read_bytes()[:5000])
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(DataError, match=r"cifar-10-python.tar.gz is torn"):
        CIFAR10(tmp_path)


def test_class_folders_are_read_too(tmp_path):
    class_folders(tmp_path / "train", TEN)
    class_folders(tmp_path / "test", TEN, each=1)
    assert (len(CIFAR10(tmp_path)), len(CIFAR10(tmp_path, "test"))) == (30, 10)
    assert CIFAR10(tmp_path).title == "CIFAR-10"


def test_cifar100_has_blanks_in_names_and_superclasses_as_factor(tmp_path):
    mini_cifar100(tmp_path)
    data = CIFAR100(tmp_path)
    assert data.classes[0] == "aquarium fish"
    assert len(data.classes) == 100
    assert data.factors["superclass"].tolist() == [i // 5 for i in range(100)]
    assert data.factor_names["superclass"][3] == "group 3"


def test_other_sizes_are_resized_and_change_the_fingerprint(tmp_path):
    mini_cifar(tmp_path)
    small = CIFAR10(tmp_path, image_size=16)
    assert small.image(0).shape == (16, 16, 3)
    assert small.fingerprint() != CIFAR10(tmp_path).fingerprint()


def test_fallback_says_that_it_is_one(tmp_path):
    data = CIFAR10(tmp_path, split="test", fallback={"type": EmbeddedFashion})
    assert data.embedded
    assert len(data) == 2000
    assert data.classes[1] == "trouser"
    assert data.title == "Fashion-MNIST (embedded)"
    assert data.notice == (
        f"CIFAR-10 not found in {tmp_path} and download is off: using Fashion-MNIST (embedded)"
    )
    assert data.fingerprint() == EmbeddedFashion("test").fingerprint()
    assert np.array_equal(data.image(5), EmbeddedFashion("test").image(5))


def test_no_network_leads_to_the_fallback(tmp_path, monkeypatch):
    monkeypatch.setattr("toolbox.compat.reachable", lambda url: False)
    data = CIFAR10(tmp_path, download=True, fallback={"type": EmbeddedFashion})
    assert "and no network: using Fashion-MNIST (embedded)" in data.notice


def test_a_download_is_used(tmp_path, monkeypatch):
    def download(root, layout):
        mini_cifar(root)
        return "never said"

    monkeypatch.setattr(cifar, "_download", download)
    data = CIFAR10(tmp_path, download=True, fallback={"type": EmbeddedFashion})
    assert (data.title, data.embedded, data.notice) == ("CIFAR-10", False, "")


def test_nothing_found_says_how_to_mend(tmp_path):
    with pytest.raises(
        DataError, match=r"not found in .* put the extracted archive.*download=True.*fallback"
    ):
        CIFAR10(tmp_path)


def test_torn_data_is_an_error_even_with_a_fallback(tmp_path):
    mini_cifar(tmp_path)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(batch.read_bytes()[:-900])
    with pytest.raises(DataError, match=r"data_batch_2 is torn.*fetch it anew"):
        CIFAR10(tmp_path, fallback={"type": EmbeddedFashion})
    batch.unlink()
    with pytest.raises(DataError, match=r"lacks data_batch_2.*extract cifar-10-python.tar.gz anew"):
        CIFAR10(tmp_path, fallback={"type": EmbeddedFashion})


def nested(depth: int) -> list:
    """A list of two lists of two lists ..., 2**depth in all, in few bytes."""
    value: list = [0, 0]
    for _ in range(depth):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"data": np.zeros((4, 3071), np.uint8), "labels": [0] * 4},
            r"must be uint8 \(N, 3072\), it is uint8 \(4, 3071\)",
        ),
        ({"data": np.zeros((4, 3072), np.uint8), "labels": [0] * 3}, "4 images but 3 labels"),
        ({"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, 2, 11]}, "class numbers 0 to 9"),
        ({"data": np.zeros((4, 3072), np.uint8), "fine_labels": [0] * 4}, "no 'labels'.*another data set"),
        ({"data": [1, 2], "labels": [0] * 2}, "it is list"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [3 * 10**8]}, "class numbers 0 to 9"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [1.0]}, "class numbers 0 to 9"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": nested(60)}, "class numbers 0 to 9"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": {0: 1}}, "class numbers 0 to 9"),
    ],
)
def test_a_wrong_batch_is_named(tmp_path, content, message):
    mini_cifar(tmp_path)
    dump(content, tmp_path / "cifar-10-batches-py" / "data_batch_1")
    with pytest.raises(DataError, match=f"data_batch_1.*{message}"):
        CIFAR10(tmp_path)


@pytest.mark.parametrize("names", ["cats", 7, [["cat"]], nested(60), {"cat": 0}])
def test_names_that_are_none(tmp_path, names):
    mini_cifar(tmp_path)
    dump({"label_names": names}, tmp_path / "cifar-10-batches-py" / "batches.meta")
    with pytest.raises(DataError, match=r"batches.meta is torn: 'label_names' must be a list of names"):
        CIFAR10(tmp_path)


def test_an_archive_that_inflates_without_end_is_stopped(tmp_path, monkeypatch):
    mini_cifar(tmp_path)
    pack(tmp_path, {"zeros": bytes(300_000)})
    monkeypatch.setattr(cifar, "_MOST_BYTES", 200_000)
    with pytest.raises(DataError, match=r"cannot be extracted \(it holds more than 200,000 bytes\)"):
        CIFAR10(tmp_path)


def test_wrong_number_of_classes(tmp_path):
    mini_cifar(tmp_path, classes=7)
    with pytest.raises(DataError, match=r"has 7 classes, not 10: airplane"):
        CIFAR10(tmp_path)
    class_folders(tmp_path / "other" / "train")
    with pytest.raises(DataError, match=r"has 2 classes, not 10: cat, dog"):
        CIFAR10(tmp_path / "other")


class _Command:
    def __reduce__(self):
        return os.system, ("touch pwned",)


class _Evaluated:
    def __reduce__(self):
        return eval, ("__import__('os').system('touch pwned')",)


@pytest.mark.parametrize(("evil", "named"), [(_Command(), "posix.system"), (_Evaluated(), "builtins.eval")])
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path, monkeypatch, evil, named):
    monkeypatch.chdir(tmp_path)
    mini_cifar(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps({"data": evil}, 4))
    with pytest.raises(DataError, match=f"data_batch_1 was not read: its pickle asks for the name {named}"):
        CIFAR10(tmp_path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"cnumpy\ndtype\n(S'O'\ntR.", "numpy type 'O'"),
        (b"c_codecs\nencode\n(S'x'\nS'zip'\ntR.", "another codec"),
        (b"c_codecs\nencode\n(N}S'__doc__'\nS'x'\nstb.", "attributes of _codecs.encode"),
        (b"cnumpy\nndarray\n(I9999999999999\ntR.", "call of numpy.ndarray"),
        (b"}Nr\x00\x00\x00\x10.", "holds a NoneType"),  # memo number 2**28: 4 GB in Python's own reader
        (b"}\x8e" + (2**40).to_bytes(8, "little") + b"x.", "torn"),
        (b"}(" + b")" + b"2\x86" * 60 + b"I0\nu.", "a tuple as the key"),  # its hash would take for ever
        (b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nstr\n(I0\ntS'b'\ntR.", "builtins.str"),
        (b"\x80\x04]q\x00.", "a list, not the dict"),
        (b"", "torn"),
    ],
)
def test_what_pickles_may_not_do(tmp_path, code, message):
    (tmp_path / "file").write_bytes(code)
    with pytest.raises(DataError, match=message):
        load_arrays(tmp_path / "file")


def test_mutated_pickles_never_do_anything_but_load_or_raise_a_data_error(tmp_path):
    mini_cifar(tmp_path, each=1)
    path = tmp_path / "cifar-10-batches-py" / "batches.meta"
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(good)
        for at in rng.integers(0, len(bad), 3):
            bad[at] = rng.integers(256)
        path.write_bytes(bytes(bad))
        with contextlib.suppress(DataError):
            load_arrays(path)


def test_array_set_checks_what_it_is_given():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    with pytest.raises(DataError, match=r"3 images but 2 labels"):
        ArraySet(images, [0, 1], ["a", "b"])
    with pytest.raises(DataError, match=r"labels run from 0 to 2, but there are 2 class names"):
        ArraySet(images, [0, 1, 2], ["a", "b"])
    with pytest.raises(DataError, match=r"factor 'f' has 1 entries for 3 images"):
        ArraySet(images, [0, 1, 1], ["a", "b"], factors={"f": [0]})
    with pytest.raises(DataError, match=r"must be uint8"):
        ArraySet(images.astype(float), [0, 1, 1], ["a", "b"])
    assert ArraySet(images, [0.0, 1.0, 1.0], ["a", "b"]).labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "classes", "known", "message"),
    [
        ([0, 1.7, 1], "ab", {}, "labels must be whole numbers, number 1 of them is 1.7"),
        ([0, 1, 10**30], "ab", {}, "labels must be whole numbers"),
        ([0, 1, 10**18], ["a", "b"], {}, "labels run from 0 to 1000000000000000000"),
        ([0, 1, float("nan")], "ab", {}, "number 2 of them is nan"),
        (["0", "1", "1"], "ab", {}, "labels must be whole numbers, number 0 of them is '0'"),
        ([[0, 1], [1]], "ab", {}, "labels must be a list of whole numbers"),
        ([0, 1, 1], "cats", {}, "classes must be a list of texts.* not 'cats'"),
        ([0, 1, 1], ["a", 7], {}, "classes must be texts, number 1 of them is 7"),
        ([0, 1, 1], ["a", "a"], {}, "two classes are called 'a'"),
        ([0, 1, 1], ["a", "b"], {"captions": ["one", "two", "three"]}, "captions of image 0 .* not 'one'"),
        ([0, 1, 1], ["a", "b"], {"captions": "one"}, "captions must be a list of texts for each image"),
        ([0, 1, 1], ["a", "b"], {"factors": {"f": [0, 0.5, 1]}}, "factor 'f' must be .* 1 of them is 0.5"),
        (
            [0, 1, 1],
            ["a", "b"],
            {"factors": {"f": [0, 1, 2]}, "factor_names": {"f": ["x", "y"]}},
            "factor 'f' has the value 2, but there are 2 names",
        ),
        ([0, 1, 1], ["a", "b"], {"factor_names": {"f": "xy"}}, "names of factor 'f' must be a list"),
    ],
)
def test_what_would_be_cut_or_taken_letter_by_letter_is_refused(labels, classes, known, message):
    with pytest.raises(DataError, match=f"array: .*{message}" if "run" not in message else message):
        ArraySet(np.zeros((3, 4, 4, 3), np.uint8), labels, classes, **known)


def test_the_download_is_torchvisions_with_its_checksum(tmp_path, monkeypatch):
    import torchvision.datasets.utils as utils

    asked = []
    monkeypatch.setattr("toolbox.compat.reachable", lambda url: True)
    monkeypatch.setattr(utils, "download_url", lambda *arguments: asked.append(arguments))
    with pytest.raises(DataError, match=r"the download did not help"):
        CIFAR10(tmp_path, download=True)
    assert asked == [
        (
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            str(tmp_path),
            "cifar-10-python.tar.gz",
            "c58f30108f718f92721af3b95e74349a",
        )
    ]

    def fails(*arguments):
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(utils, "download_url", fails)
    data = CIFAR10(tmp_path, download=True, fallback={"type": EmbeddedFashion})
    assert "the download failed (File not found or corrupted.): using Fashion-MNIST" in data.notice
