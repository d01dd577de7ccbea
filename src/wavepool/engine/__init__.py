"""Around the pure core: collect events, decide, journal the facts, apply them, perform their actions.

A run, from its order to its end:

order.py       what a run is made of; whether one that is gone on with is the one that is meant
session.py     one process's work on one run: prepare, run or resume, release, report
replay.py      take up a journal; what to do first after a crash
retrying.py    which tasks of a run are tried again by hand
loop.py        the loop itself
attempts/      one attempt, from what a driver is asked to start until its output is kept
watching/      what is looked at meanwhile: use, pressure, what agents say
release.py     the end of a run: nothing is left behind
report.py      what a run amounted to, read from its facts
cache.py       results and logs of each iteration, side by side

Beside runs:

control/       a live run seen and ended from other processes
history/       what was run here, looked at and given up
recover/       what dead processes left, told and reaped
verbs/         verbs without a run: doctor, whether an image will do, development stacks
steps/         the seed's three steps: spawn, monitor, cleanup
dryrun.py      what a run would do, and why

clock.py (both clocks), signals.py (Ctrl-C) and listener.py (whoever wants to see facts) serve them all.
"""
