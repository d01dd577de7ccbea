"""Which files import which: one extractor for each family of languages. Pure: texts are given, not read."""

from wavepool.plan.grouping.imports.graph import ImportGraph, read_imports

__all__ = ["ImportGraph", "read_imports"]
