"""Times and sizes as people say them: never a rounded nought where there is something."""


def duration(seconds: float) -> str:
    """Returns a time in its own unit.

    >>> [duration(seconds) for seconds in (0.3, 45, 360, 9000)]
    ['0.3 seconds', '45 seconds', '6 minutes', '2.5 hours']
    """
    if seconds < 0.95:
        return f"{seconds:.1g} seconds" if seconds > 0 else "0 seconds"
    for unit, length in (("second", 1), ("minute", 60)):
        number = round(seconds / length)
        if number < (60 if unit == "second" else 120):
            return f"{number} {unit}{'s' * (number != 1)}"
    return f"{seconds / 3600:.1f} hours"


def size(count: float) -> str:
    """Returns a number of bytes in its own unit.

    >>> [size(count) for count in (512, 3200, 45e6, 1.5e9)]
    ['512 B', '3.2 kB', '45 MB', '1.5 GB']
    """
    for unit, of in (("B", 1), ("kB", 1e3), ("MB", 1e6)):
        number = count / of
        if number < 999.5:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"
