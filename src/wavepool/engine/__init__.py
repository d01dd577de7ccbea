"""Around the pure core: collect events, decide, journal the facts, apply them, perform their actions.

A run, from its order to its end:

order.py       what a run is made of; whether one that is gone on with is the one that is meant
session.py     one process's work on one run: prepare, run or resume, release, report
replay.py      take up a journal; what to do first after a crash
retrying.py    which tasks of a run are tried again by hand
loop.py        the loop itself
spec.py        task + surroundings -> what a driver is asked to start
commands.py    which of a task's several commands failed
perform.py     one action, and the event that says what came of it
companions.py  sidecars as a driver is asked for them
egress.py      sealed tasks: the proxy beside them, and what it refused
attendance.py  attempts with sidecars: started together, seen off together
watchdog.py    readings of running attempts, and which of them break a rule
release.py     the end of a run: nothing is left behind
report.py      what a run amounted to, read from its facts
cache.py       results and logs of each iteration, side by side

Beside runs:

control/       a live run seen and ended from other processes
history/       what was run here, looked at and given up
recover/       what dead processes left, told and reaped
stacks.py      development stacks, by hand
steps/         the seed's three steps: spawn, monitor, cleanup
doctor.py      what is wrong here, and how to mend it
imagecheck.py  whether tasks can run in an image
dryrun.py      what a run would do, and why

clock.py (both clocks), signals.py (Ctrl-C) and listener.py (whoever wants to see facts) serve them all.
"""
