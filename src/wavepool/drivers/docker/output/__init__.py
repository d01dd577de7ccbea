"""What attempts write: the engine's log streams, taken apart."""
