"""Attempts as processes of this host, each under a small detached supervisor."""

from wavepool.drivers.process.driver import ProcessDriver

__all__ = ["ProcessDriver"]
