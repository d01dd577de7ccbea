"""Faults on purpose, on the user's own machine, each followed by a look at what must hold.

scenario.py    what a scenario is, and the registry; a dose says how much of each fault
ground.py      a place of its own: state directory, workspace, orchestrators as real processes
orchestrator.py  one `wavepool` command under way, killed or waited for
mortal.py      dies by SIGKILL at a named call; only code that imports it can make it do so
invariants.py  what must hold after every scenario
leftovers.py   what is still there of one owner
kills.py       family: the orchestrator dies
tasks.py       family: a task goes wild
journals.py    family: the journal is damaged, or two want it
hosts.py       family: the daemon, the disk and the clocks, always of a daemon and file system of their own
session.py     runs scenarios by seed and round, and cleans up
"""
