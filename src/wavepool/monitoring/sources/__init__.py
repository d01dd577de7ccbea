"""What the overview has beside the runs: each source fills one member of it from something outside of the journals."""
