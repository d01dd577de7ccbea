"""The images that tasks with agents run in: what is built, under which names, on which engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from wavepool.agents import ADAPTERS
from wavepool.drivers.base import Driver
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.building import ImageBuilder
from wavepool.engine.attempts.egress import EGRESS_IMAGE
from wavepool.errors import PrepareError
from wavepool.images import AGENT, EGRESS, recipe

AGENT_TAGS = {"claude": ("wavepool-agent-claude:latest", "claude-orchestrator:latest")}
"""Agents that there is an image for, and its names: ours, and the one that the seed's users know."""

CERTIFICATES = "extra-certificates.pem"
"""The file of a build context that holds certificates trusted beside Debian's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """What is to be built.

    Attributes:
        agent: of `AGENT_TAGS`; None for the proxy of sealed tasks alone.
        base, npm_base: images to build on; None for the recipe's own.
        tags: more names for the agent's image.
        certificates: PEM text; empty for none.
        cached: the engine may use what it built before.
    """

    agent: str | None
    base: str | None = None
    npm_base: str | None = None
    tags: tuple[str, ...] = ()
    certificates: bytes = b""
    cached: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One image that was built: its recipe, id and names."""

    recipe: str
    id: str
    tags: tuple[str, ...]


async def build_images(order: BuildOrder, progress: Callable[[str], None]) -> list[Built]:
    """Build the proxy of sealed tasks, then the agent's image.

    Raises:
        PrepareError: a build failed.
        DriverUnavailable: no engine.
    """
    wanted: list[tuple[str, Sequence[str]]] = [(EGRESS, (EGRESS_IMAGE,))]
    if order.agent is not None:
        wanted.append((AGENT, (*AGENT_TAGS[order.agent], *order.tags)))
    built: list[Built] = []
    async with ImageBuilder() as builder:
        for name, tags in wanted:
            progress(f"building {tags[0]}")
            context = dict(recipe(name))
            arguments = {"BASE": order.base} if order.base else {}
            if name == AGENT:
                context[CERTIFICATES] += order.certificates
                arguments |= {"NPM_BASE": order.npm_base} if order.npm_base else {}
            found = await builder.build(context, tags, arguments=arguments, cached=order.cached, progress=progress)
            built.append(Built(recipe=name, id=found, tags=tuple(tags)))
    return built


@contextmanager
def told_how_to_build() -> Iterator[None]:
    """An image of agents, or of their proxy, that is missing is in no registry: the error says how to make it."""
    try:
        yield
    except PrepareError as error:
        built = {EGRESS_IMAGE, *(tag for tags in AGENT_TAGS.values() for tag in tags)}
        if error.what in built:
            error.advice = (
                "Build it: `wavepool image build` (docs/images.md; --base IMAGE where no registry is reached)."
            )
        elif error.what in {each.image for each in ADAPTERS.values()}:
            error.advice = (
                "Wavepool has no recipe for it: build an image with this agent in it, and name it by --image."
            )
        raise


@asynccontextmanager
async def open_docker() -> AsyncIterator[Driver]:
    """The Docker driver, closed at the end."""
    async with DockerDriver() as driver:
        yield driver
