"""One attempt, from what a driver is asked to start until its output is kept.

spec.py        task + surroundings -> what a driver is asked to start
perform.py     one action of the core, and the event that says what came of it
waves.py       networks of waves, where a run isolates them
companions.py  sidecars as a driver is asked for them
attendance.py  attempts with sidecars: started together, seen off together
egress.py      sealed tasks, and the proxy beside them
sealing.py     programs that read what an agent left, sealed off
saving.py      output on its way into a file; streams.py: which part came from where
commands.py    what a task with several commands says at its end
"""
