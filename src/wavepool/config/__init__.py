"""Settings: what can be set, and the only reader of environment variables and wavepool.toml."""

from wavepool.config.loading import load_settings
from wavepool.config.pools import load_pools
from wavepool.config.settings import Settings

__all__ = ["Settings", "load_pools", "load_settings"]
