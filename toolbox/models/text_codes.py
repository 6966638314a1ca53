"""What text-conditioned networks ask of ``condition.codes``."""

from __future__ import annotations

from toolbox.interfaces import Condition, TextCodes


def codes_of(condition: Condition | None, width: int, owner: str, words: bool = False) -> TextCodes:
    """The text codes of a condition, of the width that a network was built for.

    Args:
        condition: of N images.
        width: numbers in a sentence's code, and in a word's.
        owner: class of the network, for messages.
        words: whether codes of words are needed too.

    Raises:
        ValueError: for a condition without codes, without codes of words, or with codes of another width.
    """
    codes = None if condition is None else condition.codes
    if codes is None:
        raise ValueError(
            f"{owner} needs condition.codes, and got none: give the game a conditioner with a text encoder"
        )
    if codes.sentence.shape[1] != width:
        raise ValueError(f"{owner} was built for code_dim={width}; the codes have {codes.sentence.shape[1]}")
    if not words:
        return codes
    if codes.words is None or codes.lengths is None:
        raise ValueError(f"{owner} needs codes of words, and the text encoder gives those of sentences only")
    if codes.words.shape[1] != width:
        raise ValueError(
            f"{owner} was built for code_dim={width}; the codes of words have {codes.words.shape[1]}"
        )
    return codes


def has_text(condition: Condition | None) -> bool:
    """Whether a condition asks for a text; a discriminator judges without text where it does not."""
    return condition is not None and (condition.codes is not None or condition.text is not None)
