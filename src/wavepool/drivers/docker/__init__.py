"""The Docker driver: attempts run in containers of a Docker engine, API 1.41 (20.10) up to current."""

from wavepool.drivers.docker.driver import DockerDriver

__all__ = ["DockerDriver"]
