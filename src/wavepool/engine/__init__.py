"""Around the pure core: collect events, decide, journal the facts, apply them, perform their actions.

session.py    one process's work on one run: prepare, run or resume, release, report
loop.py       the loop itself
perform.py    one action, and the event that says what came of it
spec.py       task + surroundings -> what a driver is asked to start
recovery.py   replay a journal; what to do first after a crash
release.py    the end of a run: nothing is left behind
report.py     what a run amounted to, read from its facts
cache.py      results and logs of each iteration, side by side
dryrun.py     what a run would do, and why
clock.py      both clocks
signals.py    Ctrl-C
listener.py   whoever wants to see a run as it happens
doctor.py     what is wrong here, and how to mend it
steps/        the seed's three steps: spawn, monitor, cleanup
"""
