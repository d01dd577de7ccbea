"""Images of agents and of their proxy are in no registry: whoever lacks one is told how it is made."""

from __future__ import annotations

import pytest

from wavepool.errors import PrepareError
from wavepool.wiring.images import told_how_to_build


def advice_for(image: str) -> str:
    with pytest.raises(PrepareError) as raised, told_how_to_build():
        raise PrepareError(image, f"the image {image} cannot be pulled: no such host", advice="Pull it.")
    return raised.value.advice


@pytest.mark.parametrize(
    "image", ["claude-orchestrator:latest", "wavepool-agent-claude:latest", "wavepool-egress:latest"]
)
def test_what_there_is_a_recipe_for_is_built(image: str) -> None:
    assert "wavepool image build" in advice_for(image)


def test_of_an_agent_without_a_recipe_the_user_names_an_image() -> None:
    assert "--image" in advice_for("codex-orchestrator:latest")


def test_other_images_are_pulled_as_ever() -> None:
    assert advice_for("busybox:latest") == "Pull it."
