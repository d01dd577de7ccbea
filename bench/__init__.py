"""`python -m bench`: Wavepool's figures, each measured next to its rival in the same run.

One file for each family of figures; harness.py interleaves and takes medians, report.py prints. Nothing here is a
test: a figure that misses its goal is printed as missed, and the exit code stays 0.
"""
