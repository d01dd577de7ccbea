"""Verbs that work on no run: what works here, whether an image will do, services that stay."""
