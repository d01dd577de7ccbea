"""What a run used of memory and CPU over its time, kept beside its journal: coarse, bounded, and never a fact.

``series``     stretches of time, thinned so that none of their peaks is lost. Pure
``record``     the file: its lines, read up to whatever tear
``recorder``   gathers the watchdog's readings, and writes
"""
