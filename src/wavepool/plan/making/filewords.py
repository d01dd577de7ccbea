"""The command of a batch, from words in which ``{files}`` stands for its files."""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.errors import SettingError

FILES = "{files}"


def check_words(words: Sequence[str]) -> None:
    """See that ``{files}`` stands alone wherever it stands.

    Raises:
        SettingError: it is part of a word, where several files could only be glued together.
    """
    for word in words:
        if FILES in word and word != FILES:
            raise SettingError(
                "COMMAND",
                word,
                f"{FILES} as a word of its own",
                advice=f'Each file becomes an argument. A shell finds them in "$@": sh -c \'tool "$@"\' sh {FILES}',
            )


def notice_of(words: Sequence[str]) -> str | None:
    """What to say where the words name no place for a batch's files; None where they do, or there are none."""
    if not words or FILES in words:
        return None
    return (
        f"warning: no word after -- is {FILES}, so each batch runs the same command, on everything that it works on: "
        f"put {FILES} where a batch's files belong"
    )


def command_for(words: Sequence[str], files: Sequence[str]) -> tuple[str, ...]:
    """The words with the files of one batch where ``{files}`` stands; a name that begins with ``-`` is no option."""
    named = [f"./{path}" if path.startswith("-") else path for path in files]
    return tuple(part for word in words for part in (named if word == FILES else (word,)))
