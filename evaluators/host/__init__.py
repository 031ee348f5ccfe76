"""Times files on this machine, for the device `host`.

The fits made from these times live in `hw_models`.
"""
