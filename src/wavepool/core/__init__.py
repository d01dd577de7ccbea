"""The pure heart: `decide(state, event, now) -> facts`, `apply(state, fact)`, `actions(fact)`.

No I/O, no clock, no asyncio. Replay runs `apply` alone, so a later release never decides an old run again.

    events.py    what happened outside, as the engine tells it
    facts.py     what was decided, or is known; the journal holds these
    actions.py   what the engine must do because of a fact
    state.py     what the facts add up to; mutable, owned by the core
    course.py    whether the run goes on: paused, draining, stopped, over; whoever tells of a run folds it too
    decide.py    routing: event -> slice
    slices/      one subject each: the run, attempts, tasks, agents, accounts, pauses, pressure, what starts next
    gates/       the reasons to wait, one file each
    pools/       warm pools: how many containers to keep, and what became of them
    stopping.py  why an attempt is stopped, and with which grace
    verdicts.py  how an attempt ended -> its verdict
    retry.py     which verdict is tried again, and when
    warming.py   which attempts containers are parked for
    timers.py    deadlines
"""
