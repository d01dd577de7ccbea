"""What an adapter is: it builds an agent's command, and reads what the agent says. Pure: no I/O, no clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from wavepool.model import AgentEvent, AgentOrder, AgentReport

TEXT_MAX_CHARACTERS = 500
"""The longest text of one event."""
FINAL_TEXT_MAX_CHARACTERS = 8192
ERRORS_MAX = 20
LINE_MAX_BYTES = 8 * 1024 * 1024
"""A longer line of output is not parsed; the event says so."""


class AgentReader(ABC):
    """Reads the output of one attempt, from its beginning, in pieces of any size. Holds a bounded amount of it."""

    @abstractmethod
    def feed(self, data: bytes) -> list[AgentEvent]:
        """What this piece of stdout adds. Never raises: what cannot be read is an event of the kind `UNREADABLE`."""

    def feed_stderr(self, data: bytes) -> None:
        """A piece of stderr, where it is known apart: nothing is told from it, but a problem may quote its end."""
        del data  # most agents say on stdout what matters

    @abstractmethod
    def report(self, exit_code: int | None) -> AgentReport:
        """What the output amounts to, once it has ended. `exit_code` None where the process has none."""


class AgentAdapter(ABC):
    """One agent. Stateless.

    A task with a command of its own runs that one: the adapter's is not asked for then, and it only reads the output.

    Attributes:
        name: as users write it.
        image: what its tasks run in where nobody says otherwise.
        hosts: names of the hosts that it must reach to work at all.
        secrets: name of a secret (lower case) -> variable in which the agent wants its value.
        bypasses_prompts: it does what it likes without asking: on the bare host only where the user allowed that.
    """

    name: ClassVar[str]
    image: ClassVar[str]
    hosts: ClassVar[tuple[str, ...]]
    secrets: ClassVar[Mapping[str, str]]
    bypasses_prompts: ClassVar[bool]

    @property
    def key_variables(self) -> Mapping[str, str]:
        """Variables of this machine's environment that hold its keys -> the secret that each becomes, best first."""
        found: dict[str, str] = {}
        for name, variable in self.secrets.items():
            found.setdefault(name.upper(), name)
            found.setdefault(variable, name)
        return found

    @abstractmethod
    def command(self, order: AgentOrder) -> tuple[str, ...]:
        """The argv that runs it in its workspace, its prompt on stdin (out of the file that TASK_PROMPT_FILE names).

        Secrets that are there (files in WAVEPOOL_SECRETS_DIR) reach it as variables; they are in no argv.
        """

    @abstractmethod
    def environment(self, order: AgentOrder) -> Mapping[str, str]:
        """Variables for its container; those of the user beat them."""

    @abstractmethod
    def reader(self, order: AgentOrder) -> AgentReader:
        """Reads one attempt's output."""
