"""What a person or a machine looks at: runs, host, pools, workspaces and processes, as documents that follow life.

Everything here reads: journals, control sockets, the driver's usage and logs, psutil, git. It runs on a loop of its own
(`wavepool.web` has it in a thread of its own), and shares nothing with an engine but files and sockets.

::

    documents/   the shapes of all that is shown
    channels.py  a document that changes, and how changes are told
    monitor.py   the whole: keeps the documents true until it is closed
    runs/        journals, followed and folded: one run as a document, all runs as lines
    overview.py  the document of what all runs share
    sources/     what fills it beside the runs: host, pools, workspaces, processes, containers
    usage/       what attempts use, swept for each driver
    drivers.py   the drivers that are asked for usage and output
    logs/        output of attempts, live and archived
    actions.py   what a person does to runs and pools from elsewhere; verbs.py the processes that do it
"""
