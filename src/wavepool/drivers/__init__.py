"""Where attempts run. `base` is the contract; each other folder is one driver."""
