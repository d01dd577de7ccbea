"""What a person or a machine looks at: runs, host, pools, workspaces and processes, as documents that follow life.

Everything here reads: journals, control sockets, the driver's usage and logs, psutil, git. It runs on a loop of its own
(`wavepool.web` has it in a thread of its own), and shares nothing with an engine but files and sockets.
"""
