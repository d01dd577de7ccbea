"""The pure heart: `decide(state, event, now) -> facts`, `apply(state, fact)`, `actions(fact)`.

No I/O, no clock, no asyncio. Replay runs `apply` alone, so a later release never decides an old run again.

    events.py    what happened outside, as the engine tells it
    facts.py     what was decided, or is known; the journal holds these
    actions.py   what the engine must do because of a fact
    state.py     what the facts add up to; mutable, owned by the core
    course.py    whether the run goes on: paused, draining, stopped, over; whoever tells of a run folds it too
    decide.py    routing: event -> slice
    runs.py      slice: the run as a whole, its waves, draining and ending
    attempts.py  slice: one attempt from its start until nothing of it is left
    tasks.py     slice: what the end of a task means for others
    stopping.py  why an attempt is stopped, and with which grace
    verdicts.py  how an attempt ended -> its verdict
    agents.py    slice: what agents say and use up, and their budgets
    pausing.py   slice: a run that somebody has paused
    cancelling.py  slice: tasks that somebody cancels while the others go on
    reopening.py  slice: tasks that somebody has tried again
    accounts.py  slice: accounts that have no more to give for a while
    scheduling.py  slice: which task starts next
    gates/       the reasons to wait, one file each
    warming.py   which attempts containers are parked for
    retry.py     which verdict is tried again, and when
    timers.py    deadlines
"""
