"""Weights from elsewhere: a plugin's own file, an address of the web, a file of the Hugging Face hub."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch

from toolbox.models.stylegan2_embedded import WEIGHTS
from toolbox.weights.errors import WeightsError
from toolbox.weights.sources import is_elsewhere, local_path

CONTENT = b"weights of somebody"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, format: str, *values: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def asked() -> list[str]:
    """Paths that the server was asked for."""
    return []


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> Iterator[str]:
    """The address of a server on this machine that holds ``net.pt``; torch's cache is empty."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "net.pt").write_bytes(CONTENT)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    handler = type("Handler", (Quiet,), {"asked": asked})
    made = functools.partial(handler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_is_fetched_once_and_compared(web: str, asked: list[str]) -> None:
    told: list[str] = []
    for source in (f"{web}/net.pt#sha256={DIGEST}", dict(url=f"{web}/net.pt", sha256=DIGEST.upper())):
        assert local_path(source, told.append).read_bytes() == CONTENT
    assert len(asked) == 1 and not told


def test_a_digest_that_is_not_given_is_printed(web: str) -> None:
    told: list[str] = []
    path = local_path(f"{web}/net.pt", told.append)
    assert len(told) == 1 and f"net.pt#sha256={DIGEST}" in told[0]
    assert local_path(told[0].split("'")[1]) == path


def test_another_digest_is_refused(web: str, tmp_path: Path) -> None:
    wrong = "0" * 64
    with pytest.raises(WeightsError, match=f"sha256 {DIGEST}, not {wrong}: it was removed again"):
        local_path(f"{web}/net.pt#sha256={wrong}")
    assert not list((tmp_path / "cache").rglob("*net.pt"))
    kept = local_path(f"{web}/net.pt")
    kept.write_bytes(b"changed since")
    with pytest.raises(WeightsError, match=r"remove .*net.pt to fetch it again"):
        local_path(f"{web}/net.pt#sha256={DIGEST}")


def test_without_a_network_the_address_is_said_and_where_to_put_the_file(web: str, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=rf"{web}/gone.pt cannot be fetched .*404.*put it at (\S+),"
    ) as error:
        local_path(f"{web}/gone.pt")
    place = Path(str(error.value).split("put it at ")[1].split(", or name")[0])
    place.write_bytes(CONTENT)
    assert local_path(f"{web}/gone.pt#sha256={DIGEST}") == place
    with pytest.raises(WeightsError, match=r"http://127.0.0.1:9/net.pt cannot be fetched \(URLError"):
        local_path("http://127.0.0.1:9/net.pt")


def test_a_file_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.pt").write_bytes(CONTENT)
    calls = []

    def download(repo_id: str, filename: str, revision: str | None) -> str:
        calls.append((repo_id, filename, revision))
        return str(tmp_path / "net.pt")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert local_path(f"hf://org/repo/sub/net.pt@v1#sha256={DIGEST}") == tmp_path / "net.pt"
    local_path("hf://org/repo/net.pt")
    assert calls == [("org/repo", "sub/net.pt", "v1"), ("org/repo", "net.pt", None)]
    with pytest.raises(WeightsError, match="must read 'hf://ORG/REPO/FILE@REVISION'"):
        local_path("hf://org/net.pt")


def test_the_hub_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(**where: object) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(
        WeightsError,
        match=r"no network.*fetch https://huggingface.co/org/repo/resolve/v1/a/net.pt .*weights=",
    ):
        local_path("hf://org/repo/a/net.pt@v1")


def test_a_file_of_a_plugin_is_named_relative_to_it(tmp_path: Path) -> None:
    assert local_path("toolbox:models/embedded/stylegan2_portraits.safetensors") == WEIGHTS
    assert local_path("lcp:toolbox.txt").parent.name == "toolbox_lcp"
    with pytest.raises(WeightsError, match="no plugin 'lpc' is loaded - did you mean 'lcp'"):
        local_path("lpc:net.pt")
    assert not is_elsewhere(str(tmp_path / "net.pt")) and local_path("C:/net.pt") == Path("C:/net.pt")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("ftp://host/net.pt", "only http, https and hf addresses"),
        ("https://host/net.pt#md5=3", "after # only sha256=HEX"),
        ("https://host/net.pt#sha256=12", "must be 64 hex digits"),
        (dict(url="https://host/net.pt", sha265="3"), "unknown key 'sha265' - did you mean 'sha256'"),
        (3, "must be one of"),
    ],
)
def test_what_cannot_be_read(source: object, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        local_path(source)
