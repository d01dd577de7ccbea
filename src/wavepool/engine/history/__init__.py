"""Looking back: what was run here, read from the journals, and what is done with it.

``runs``        which runs there are, and how each stands
``chronicle``   one run, attempt by attempt
``output``      what an attempt wrote, byte for byte
``revisit``     which attempt somebody can look into
``prune``       which runs are given up, and how
"""
