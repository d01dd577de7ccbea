"""What a person or a machine sees while a run goes on. Every listener reads one stream of facts.

progress.py  facts -> how far a run is
figures.py   counts of tasks
pace.py      how long the rest may take
endings.py   what ended last, and why
heldback.py  why nothing starts just now
live.py      a screen that is drawn anew, on a terminal
plain.py     lines with timestamps, where there is no terminal
jsonl.py     facts as JSON lines, for machines
wording.py   words and figures for people, safe against hostile ids
lines.py     the thread that writes lines, so that a slow reader never stalls a run
"""

from __future__ import annotations

from wavepool.listeners.figures import Figures
from wavepool.listeners.jsonl import JsonLinesListener
from wavepool.listeners.live import LiveListener, render
from wavepool.listeners.plain import PlainListener
from wavepool.listeners.progress import Progress

__all__ = ["Figures", "JsonLinesListener", "LiveListener", "PlainListener", "Progress", "render"]
