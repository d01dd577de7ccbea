"""The page, the REST interface, the WebSockets and the metrics, all of them over `wavepool.monitoring`.

FastAPI, uvicorn and Prometheus are known here alone, and come with the extra ``serve``.

::

    server.py    ports, thread and applications put together, and their end; thread.py the thread
    door/        who may come in: ports, connections, guard, token, refusals
    app.py       which parts answer at which port; context.py what they work with
    pages.py     the page's files      health.py, metrics.py   for who asks time and again
    sockets/     `/ws` and the seed's port 9001: one hub, an outbox for each client
    logs.py      output over the web, ranges.py its downloads
    api/         REST, one file for each resource
    jobs/        verbs of the command line as jobs; launching.py runs that outlive the server
"""
