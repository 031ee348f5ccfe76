"""Layer tables: the static profile of a network or of a file, one row an operation.

Nothing here knows a device or a price.
"""
