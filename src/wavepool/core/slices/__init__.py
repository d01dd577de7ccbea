"""One subject each: `on_*` decides what follows from an event, the rest applies facts. `decide.py` routes to them.

runs.py        the run as a whole, its waves, draining and ending
attempts.py    one attempt from its start until nothing of it is left
tasks.py       what the end of a task means for others
agents.py      what agents say and use up, and their budgets
accounts.py    accounts that have no more to give for a while
watchdog.py    soft limits that were crossed, lifetimes that are over
pausing.py     a run that somebody has paused
cancelling.py  tasks that somebody cancels while the others go on
reopening.py   tasks that somebody has tried again
pressure.py    a host that is short of something
scheduling.py  which task starts next
"""
