"""The one error that is meant for the person at the keyboard."""


class AtollError(Exception):
    """Something the user can mend: the message says what was got, what is allowed and where.

    The command line prints the message alone and ends with exit status 2.
    """


class MachineError(AtollError):
    """The machine is at fault, not the candidate: a full disk, a folder that cannot be written.

    No trial is recorded as failed for it: the search stops, and runs the trial again when it goes on.
    """
