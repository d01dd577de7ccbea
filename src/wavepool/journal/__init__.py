"""What happened in a run, kept through any crash: facts in their order, nothing else."""
