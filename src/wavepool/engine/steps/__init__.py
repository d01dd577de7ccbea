"""The seed's three steps, for whoever starts a wave in one process and waits for it in another.

    manifest.py   what `spawn` tells `monitor` and `cleanup`
    spawn.py      start every container of one wave
    monitor.py    watch them to their end
    cleanup.py    save their logs and remove them
    archive.py    logs into files, for a person to find by container id
    timeouts.py   marks, so that a container stopped at its timeout is told as that later
    survey.py     read-only looks at things that are not ours

A run needs none of these: its loop starts, watches and removes by itself.
"""
