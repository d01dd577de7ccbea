"""The supervisor of one attempt: a program of its own, so that the exit of an orphan is never lost.

Run by `launch.BOOT` as ``python -I -S … RECORD_DIR`` with its order (`marshal`, `launch.Order`) on stdin. It forks: the
parent returns at once, the child lives in a session of its own until the task has ended and

- claims the attempt (`started`, made with link(2): whoever comes second leaves without a trace),
- is the subreaper of everything the task leaves behind, and kills all of it when the main process ends; where it has
  several commands to run, that is between two of them too,
- pumps both output streams into one framed, bounded log, so that neither a full disk nor a reader stalls the task,
- ends the task on SIGTERM, after the shortest grace that the files `stop.*` hold,
- writes `exit.json` atomically, as its last word.

It imports nothing of wavepool and little else: json alone would double its start-up (9 ms to 18 ms measured), and
`signal` would add a quarter, as it imports enum; so `_signal` is taken, which is all of it but the names, and which
type checkers do not know. That is also why it quotes its own JSON, why its modules are few and name each other by a
dot (they are `supervisor.*` there and `wavepool.drivers.process.supervisor.*` to whoever tests them), and why `dict`
and `list` have no parameters here, for which checkers are told to be silent: what is in them would be `typing.Any`.

main.py         from an order on stdin to the supervision of its attempt
supervising.py  the task from its fork to its exit record
task.py         from a fork of ours to the program of the task
log.py          its output, kept in one file
oom.py          kills for memory, as a control group counts them
launcher.py     what ties us to the process that launched us
kernel.py       files and processes, as the kernel has them
"""
