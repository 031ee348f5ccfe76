"""Channels: which depend on each other, how they are rated, removed, multiplied."""
