"""What runs on a board: `bench.py`, one file to copy there."""
