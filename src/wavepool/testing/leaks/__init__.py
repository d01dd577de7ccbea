"""`wavepool doctor --prove-no-leaks`: a run is killed in the middle, recovered, and the host is as it was."""
