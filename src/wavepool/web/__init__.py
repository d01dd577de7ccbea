"""The page, the REST interface, the WebSockets and the metrics, all of them over `wavepool.monitoring`.

FastAPI, uvicorn and Prometheus are known here alone, and come with the extra ``serve``.
"""
