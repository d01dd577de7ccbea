"""What earlier attempts took, how much memory they used, and what that lets us expect of the next ones."""

from wavepool.learning.history import Basis, Expected, History
from wavepool.learning.kinds import kind_of, twin_of
from wavepool.learning.samples import Sample, sample_of

__all__ = ["Basis", "Expected", "History", "Sample", "kind_of", "sample_of", "twin_of"]
