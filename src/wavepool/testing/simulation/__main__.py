"""`python -m wavepool.testing.simulation`."""

import sys

from wavepool.testing.simulation.schedules import main

sys.exit(main())
