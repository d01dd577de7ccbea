"""What a form has to ask for: ``/api/forms``."""

from __future__ import annotations

import anyio

from wavepool.monitoring.documents.forms import Forms
from wavepool.web.api.errors import answers
from wavepool.web.api.routes import Serving, routes

router = routes("forms")


@router.get("/forms", responses=answers())
async def forms(serving: Serving) -> Forms:
    """The options of verbs that the page starts: `run`, `task`, `tasks`, `recover` and `prune`, as their help has them.

    What they are called here is what `options` of the orders have.
    """
    return await anyio.to_thread.run_sync(serving.forms)
