"""The output of attempts for those who look: its end as it is written, any part of it, what is found in it, all of it.

Archived output is a file; that of an attempt which runs, or was not archived yet, comes from its driver, from its
start. A position in it is the number of bytes before it, as both have it.
"""

from wavepool.monitoring.logs.hub import Logs
from wavepool.monitoring.logs.pieces import Found, Match, Piece, Viewer

__all__ = ["Found", "Logs", "Match", "Piece", "Viewer"]
