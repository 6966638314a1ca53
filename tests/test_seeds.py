"""What tests draw depends on their names and TOOLBOX_TEST_SALT, not on their order."""

from __future__ import annotations

import hashlib
import os
import random

import numpy as np
import pytest
import torch


def seed_of(name: str) -> int:
    text = f"{os.environ['TOOLBOX_TEST_SALT']} {name}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def expected(name: str) -> torch.Tensor:
    return torch.rand(3, generator=torch.Generator().manual_seed(seed_of(name)))


@pytest.fixture(scope="module", params=[0, 1])
def of_the_module(request: pytest.FixtureRequest) -> torch.Tensor:
    return torch.rand(3)


@pytest.fixture(scope="session")
def of_the_session() -> torch.Tensor:
    return torch.rand(3)


def test_a_test_draws_by_its_name(request: pytest.FixtureRequest) -> None:
    name = request.node.nodeid
    assert torch.equal(torch.rand(3), expected(name))
    assert random.random() == random.Random(seed_of(name)).random()
    assert np.random.rand() == np.random.RandomState(seed_of(name)).rand()  # noqa: NPY002


def test_a_fixture_of_a_wider_scope_draws_by_its_name(
    request: pytest.FixtureRequest, of_the_module: torch.Tensor
) -> None:
    index = request.node.callspec.indices["of_the_module"]
    assert torch.equal(of_the_module, expected(f"{request.node.parent.nodeid} of_the_module {index}"))


def test_one_that_is_asked_for_late_disturbs_nothing(request: pytest.FixtureRequest) -> None:
    late = request.getfixturevalue("of_the_session")
    assert torch.equal(late, expected(" of_the_session 0"))
    assert torch.equal(torch.rand(3), expected(request.node.nodeid))
