"""Seeing what becomes of containers: events, listings, and the evidence behind each verdict."""
