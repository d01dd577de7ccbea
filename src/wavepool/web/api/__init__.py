"""The REST interface, as described by ``/api/openapi.json``: all that the command line can do.

A file for each resource, with a router. What is shown are the documents of `wavepool.monitoring`; what is done goes
over `Actions`, or in processes of its own.
"""

from __future__ import annotations

from wavepool.web.api.installing import install, open_services
from wavepool.web.api.routes import Services

__all__ = ["Services", "install", "open_services"]
