"""What a verb of the command line can be told, for a form that asks a person."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class OptionForm(TypedDict):
    """One option. `name` is what the REST interface calls it, `option` how the command line spells it.

    `kind` is text, list (of texts, one for each time that it is given) or flag. `expected` says what a right value is;
    `choices` are there where only these words are right.
    """

    name: str
    option: str
    help: str
    kind: str
    group: str
    expected: NotRequired[str]
    choices: NotRequired[list[str]]


class VerbForm(TypedDict):
    """One verb: its purpose, and its options, group by group, in each as its help has them."""

    about: str
    options: list[OptionForm]


class Forms(TypedDict):
    """By verb; empty where who serves knows no command line."""

    verbs: dict[str, VerbForm]
