"""Around the pure core: collect events, decide, journal the facts, apply them, perform their actions.

loop.py       the loop itself
perform.py    one action, and the event that says what came of it
spec.py       task + surroundings -> what a driver is asked to start
recovery.py   replay a journal; what to do first after a crash
release.py    the end of a run: nothing is left behind
report.py     what a run amounted to, read from its facts
clock.py      both clocks
signals.py    Ctrl-C
spawn.py, monitor.py, cleanup.py    the seed's three steps
"""
