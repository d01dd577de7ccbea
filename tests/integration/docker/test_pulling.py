"""Pulls from a registry that is really there: a small one on this host, which serves one image."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wavepool.drivers.base import Needs
from wavepool.errors import PrepareError
from wavepool.testing.observing import raised

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conftest import DockerWorld

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """Speaks as much of the registry protocol as a pull needs. `manifests_served` counts what was asked for by tag."""

    def __init__(self, saved: bytes, name: str) -> None:
        self.manifests_served: Counter[str] = Counter()
        self._blobs: dict[str, bytes] = {}
        self._manifest = self._take_in(saved, name)
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.answer(self, self.path.split("/"))

            do_HEAD = do_GET  # noqa: N815 - the name that the base class looks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.image = f"127.0.0.1:{self._server.server_port}/{name}:latest"

    def __enter__(self) -> Registry:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take_in(self, saved: bytes, name: str) -> bytes:
        """Keep the blobs of a `docker save`, as an image with an id of its own; the manifest."""
        with tarfile.open(fileobj=io.BytesIO(saved)) as archive:

            def read(path: str) -> bytes:
                file = archive.extractfile(path)
                assert file is not None
                return file.read()

            (described,) = json.loads(read("manifest.json"))
            config = json.loads(read(described["Config"]))
            config["config"]["Labels"] = {"wavepool.test": name}
            layers = [self._keep(gzip.compress(read(path), 1), LAYER) for path in described["Layers"]]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._keep(json.dumps(config).encode(), CONFIG),
            "layers": layers,
        }
        return json.dumps(manifest).encode()

    def _keep(self, blob: bytes, media_type: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        self._blobs[digest] = blob
        return {"mediaType": media_type, "size": len(blob), "digest": digest}

    def answer(self, request: BaseHTTPRequestHandler, path: list[str]) -> None:
        """``/v2/``, ``/v2/<name>/manifests/<tag or digest>`` or ``/v2/<name>/blobs/<digest>``."""
        body, media_type = b"{}", "application/json"
        if "manifests" in path:
            self.manifests_served[request.command] += 1
            body, media_type = self._manifest, MANIFEST
        elif "blobs" in path:
            body, media_type = self._blobs[path[-1]], "application/octet-stream"
        request.send_response(200)
        request.send_header("Content-Type", media_type)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    @property
    def asked(self) -> int:
        """How often its manifest was asked for."""
        return self.manifests_served.total()


@pytest.fixture
async def registry(world: DockerWorld, tmp_path: Path) -> AsyncIterator[Registry]:
    await world.docker("save", "--output", str(tmp_path / "saved.tar"), world.image)
    with Registry((tmp_path / "saved.tar").read_bytes(), f"wavepool-{world.owner}") as made:
        yield made
        with anyio.CancelScope(shield=True):
            await world.docker("rmi", "--force", made.image)


async def test_a_missing_image_is_pulled_once_with_its_progress(world: DockerWorld, registry: Registry) -> None:
    told: list[tuple[str, str]] = []
    async with world.driver() as driver:
        needs = Needs(images=(registry.image,), pull="missing")
        prepared = await driver.prepare(needs, lambda image, text: told.append((image, text)))
        asked = registry.asked
        again = await driver.prepare(needs)
    assert asked > 0
    assert registry.asked == asked, "it is there now"
    assert {image for image, _ in told} == {registry.image}
    assert any("Downloaded newer image" in text for _, text in told)
    assert prepared.image_ids == again.image_ids
    assert prepared.image_ids[registry.image] == await world.docker("inspect", "--format", "{{.Id}}", registry.image)


async def test_always_asks_each_time_and_never_does_not(world: DockerWorld, registry: Registry) -> None:
    async with world.driver() as driver:
        missing = await raised(PrepareError, driver.prepare(Needs(images=(registry.image,), pull="never")))
        assert registry.asked == 0
        counts = []
        for _ in range(2):
            await driver.prepare(Needs(images=(registry.image,), pull="always"))
            counts.append(registry.asked)
        await driver.prepare(Needs(images=(registry.image,), pull="never"))
    assert f"docker pull {registry.image}" in missing.advice
    assert 0 < counts[0] < counts[1] == registry.asked
