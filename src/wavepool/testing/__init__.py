"""What proves Wavepool, shipped so that it can prove your own driver too.

`driver_contract` is the suite every driver passes, `driver_harness` what it needs to know of one, `virtual_time` an
event loop whose clock jumps, `faults` failures and `kill_points` deaths that can be repeated.
"""
