"""Where Wavepool keeps what must outlive it: who owns the containers, and each run's journal, logs and slots.

::

    <state>/                 0700 where we make it
    ├── owner                0600: 16 hex digits, made once; containers and networks carry it as a label
    ├── processes/           records of attempts that are plain processes
    ├── serve.lock           held (flock) as long as a `wavepool serve` works here; names that process for people
    ├── serve.sock           0600: its socket
    ├── web.token            0600: opens its page; made once, and as good as its user's own shell
    ├── served/<run id>.json runs that a server has started, which the next one goes on with if they died
    ├── fixes/<fix id>/      a `wavepool fix`: its worktree, what is known of it, a lock held (flock) by its process;
    │                        its journal.db (with a -tip) stays when it is over
    ├── stacks/<name>/       a development stack: lock, and data/ with what its services wrote
    ├── networks/<digest>    lock files: a live run holds a shared lock on each network that it uses
    ├── removed/             directories of runs that are being deleted, or were until a crash
    └── runs/<run id>/
        ├── lock             held (flock) as long as a process works on the run; names that process for people
        ├── journal.db       journal.db-tip beside it says how many facts it must hold
        ├── control.sock     0600: looks and cancels, served by the process that works on the run
        ├── detached.log     what a process that was started with --detach had to say
        ├── results.json
        ├── logs/            output of attempts
        ├── slots/           <task key>.<attempt number>/, one for each attempt
        ├── data/            <task key>.<attempt number>/<sidecar>/: what sidecars wrote; kept with the run
        ├── work/            <task key>.<attempt number>/: what is known of its workspace, and private clones
        └── artifacts/       patches of what tasks changed

Locks are flock(2): the kernel drops them with their process, however it dies. Lock files are never deleted, as a
lock on a deleted file guards nothing; but for those of runs and fixes, with what they guard and by whoever holds them:
who had waited for one sees that its file is not there any more, and begins anew.
"""

from __future__ import annotations

from wavepool.statedir.files import open_regular, size_of
from wavepool.statedir.fixing import FixPlace
from wavepool.statedir.rundir import BEAT_S, LOCK_TRIES, LOOK_PATIENCE_S, RunDir, new_run_id
from wavepool.statedir.served import ServedRun, ServedRuns, served_now
from wavepool.statedir.serving import ServerPlace
from wavepool.statedir.state import REMOVAL_PATIENCE_S, SPAWN_RECORD, StateDir

__all__ = [
    "BEAT_S",
    "LOCK_TRIES",
    "LOOK_PATIENCE_S",
    "REMOVAL_PATIENCE_S",
    "SPAWN_RECORD",
    "FixPlace",
    "RunDir",
    "ServedRun",
    "ServedRuns",
    "ServerPlace",
    "StateDir",
    "new_run_id",
    "open_regular",
    "served_now",
    "size_of",
]
