"""``python -m wavepool.testing.model_server SCRIPT.json [--host HOST] [--port PORT]``, until Ctrl-C.

Prints its URL when it listens. Exit: 2 for a script that cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wavepool.testing.model_server import BadScript, ModelServer, read_script


def main() -> int:
    """Serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m wavepool.testing.model_server", description=__doc__)
    parser.add_argument("script", type=Path, help="JSON, as in wavepool.testing.model_server.script")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: one that is free)")
    given = parser.parse_args()
    try:
        script = read_script(given.script.read_text("utf-8"))
    except (OSError, UnicodeError, BadScript) as error:
        sys.stderr.write(f"{given.script}: {error}\n")
        return 2
    with ModelServer(script, host=given.host, port=given.port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        try:
            server.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
