"""Names of clusters: what a file may say, what it does to labels, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toolbox_klish.runs.naming import NamedClassifier, Names, parse_setting
from toolbox_klish.svm.planes import LinearClassifier


def test_named_clusters_are_merged_and_the_rest_keeps_its_number() -> None:
    names = Names(6, {"hair": [0, 3], "skin": [4]})
    assert names.titles == ["hair", "skin", "cluster 1", "cluster 2", "cluster 5"]
    labels = np.arange(6).reshape(2, 3)
    assert names.apply(labels).tolist() == [[0, 2, 3], [0, 1, 4]]
    applied = names.apply(torch.from_numpy(labels))
    assert applied.dtype == torch.int64 and applied.tolist() == [[0, 2, 3], [0, 1, 4]]
    assert [names.members(place) for place in range(5)] == [[0, 3], [4], [1], [2], [5]]
    assert Names(3).apply(np.array([2, 0])).tolist() == [2, 0]


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    names = Names(6, {"Haar, lang": [0, 3], "Häute": [4]})
    names.write(tmp_path / "names.json")
    text = (tmp_path / "names.json").read_text()
    assert Names.read(tmp_path / "names.json", 6) == Names(6, json.loads(text)["names"]) == names
    assert '    "Häute": [4]\n' in text
    Names(2).write(tmp_path / "names.json")
    assert Names.read(tmp_path / "names.json").titles == ["cluster 0", "cluster 1"]


def test_setting_a_name_takes_its_clusters_from_others() -> None:
    names = Names.template(4).named("hair", [0, 3]).named("skin", [3])
    assert dict(names.groups) == {"cluster 1": [1], "cluster 2": [2], "hair": [0], "skin": [3]}
    assert dict(names.named("hair", []).groups) == {"cluster 1": [1], "cluster 2": [2], "skin": [3]}
    assert parse_setting("long hair = 0, 3") == ("long hair", [0, 3])
    assert parse_setting("hair=") == ("hair", [])


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            {"clusters": 4, "names": {"hair": [0, 4]}},
            "names: 'hair' has 4, which is no cluster: they are 0 to 3",
        ),
        ({"clusters": 4, "names": {"hair": [0.5]}}, "names: 'hair' has 0.5, which is no cluster"),
        (
            {"clusters": 4, "names": {"hair": [0, 3], "skin": [3]}},
            "cluster 3 stands under 'hair' and under 'skin'",
        ),
        ({"clusters": 4, "names": {"hair": [1, 1]}}, "cluster 1 stands twice under 'hair'"),
        (
            {"clusters": 4, "names": {"hair": 1}},
            r"'hair' must have a list of clusters, such as \[0, 3\], not 1",
        ),
        ({"clusters": 4, "names": {" ": [1]}}, "a name is empty"),
        ({"clusters": 4, "names": [0]}, '"names" must be an object of lists of clusters'),
        ({"clusters": 4, "name": {}}, "unknown key 'name'.*did you mean 'names'"),
        ({"clusters": 0}, "clusters=0 must be a whole number of at least 1"),
        ({"names": {}}, 'must hold {"clusters": K'),
        (
            {"clusters": 5, "names": {}},
            "names 5 clusters, the classifier has 4: another number needs names of its own",
        ),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(contents: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps(contents))
    with pytest.raises(ValueError, match=message) as caught:
        Names.read(path, 4)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_classifier_of_another_number_is_refused() -> None:
    classifier = LinearClassifier(np.eye(3), np.zeros(3))
    assert NamedClassifier(classifier, Names(3, {"a": [0, 2]})).groups.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="names are those of 4 clusters, the classifier has 3"):
        NamedClassifier(classifier, Names(4))


def test_torn_files_and_settings(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('{"clusters": 4, ')
    with pytest.raises(ValueError, match=r"names.json: Expecting property name"):
        Names.read(tmp_path / "names.json")
    (tmp_path / "names.json").write_text('{"clusters": 4, "names": {"a": [0], "a": [1]}}')
    with pytest.raises(ValueError, match=r"names.json: 'a' stands twice"):
        Names.read(tmp_path / "names.json")
    for text in ("hair", "=3", "hair=a", "hair=0;3"):
        with pytest.raises(ValueError, match="is not NAME=NUMBER,NUMBER"):
            parse_setting(text)
