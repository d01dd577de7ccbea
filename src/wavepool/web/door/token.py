"""The token: whoever has it may see all and do all that the page can. 256 bits, in a file of its user's alone."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
from pathlib import Path

from wavepool.errors import InputError, SettingError, UnreadableFile, Words
from wavepool.statedir.files import make_private, told, write_once

TOKEN_BYTES = 32
VARIABLE = "WAVEPOOL_TOKEN"

_RIGHT = re.compile(r"[A-Za-z0-9_~.-]{32,512}")
_EXPECTED = "32 to 512 letters, digits, -, _, . and ~, which nobody can guess"


class Token:
    """The secret itself. Neither `str` nor `repr` tells it.

    Args:
        text: a right one.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, to be shown to its user alone."""
        return self._text

    def is_(self, text: str) -> bool:
        """Whether this is it, in a time that tells nothing."""
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self._text.encode())

    def cookie(self, name: str) -> str:
        """What the cookie of that name holds: it opens the page as the token does, and cannot be turned into it."""
        return hmac.new(self._text.encode(), f"cookie {name}".encode(), hashlib.sha256).hexdigest()

    def is_cookie(self, name: str, text: str) -> bool:
        """Whether this is what our cookie of that name holds."""
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.cookie(name).encode())


def token_of(variable: str | None, path: Path) -> Token:
    """The token: of the variable where it has one, else of the file, which is made where it is missing.

    Args:
        variable: the value of `VARIABLE`; empty or None is not set.
        path: the file; what is missing above it is made.

    Raises:
        InputError: it is too short, has other characters, or others can read the file.
        InfrastructureError: the file cannot be made.
    """
    if variable:
        if not _RIGHT.fullmatch(variable):
            raise SettingError(VARIABLE, Words(f"a text of {len(variable)} characters"), _EXPECTED)
        return Token(variable)
    with told(path, "make"):
        if not path.exists():
            make_private(path.parent)
            write_once(path, secrets.token_urlsafe(TOKEN_BYTES))
    return Token(_read(path))


def _read(path: Path) -> str:
    try:
        text = path.read_text("ascii", errors="replace").strip()
        others = stat.S_IMODE(path.stat().st_mode) & 0o077
    except OSError as error:
        raise UnreadableFile("--token-file", str(path), error) from None
    if others:
        raise InputError(
            f"{path}: others than its owner may read the token, which lets them do all that the page can",
            advice=f"`chmod 600 {path}`; or delete it, if they have read it already: a new one is made.",
        )
    if not _RIGHT.fullmatch(text):
        raise InputError(
            f"{path}: got {Words(f'a text of {len(text)} characters')}, expected {_EXPECTED}",
            advice="Delete it: a new one is made.",
        )
    return text
