"""The machine under a process: its processor, what of it may be used, where files may lie.

On the lowest floor because every floor asks; nothing here knows of networks.
"""
