"""What is known of a game's data before it is trained."""

from __future__ import annotations

from typing import Any


def notices(game: Any) -> list[str]:
    """What parts of a game say of themselves (a stand-in for weights that could not be had)."""
    parts = [*game.modules(), game.conditioner.extractor]
    return list(dict.fromkeys(str(part.notice) for part in parts if getattr(part, "notice", "")))


def data_facts(stream: Any) -> dict[str, Any]:
    """Title, size and fingerprint of a training stream's source."""
    source = stream.source
    visible = stream.visible_labels
    return dict(
        title=source.title,
        embedded=bool(source.embedded),
        notice=getattr(source, "notice", "") or "",
        fingerprint=source.fingerprint(),
        n=len(stream),
        labelled=int((visible >= 0).sum()),
        classes=list(source.classes),
    )
