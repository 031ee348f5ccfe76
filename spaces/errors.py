"""The one error that is meant for the person at the keyboard."""


class AtollError(Exception):
    """Something the user can mend: the message says what was got, what is allowed and where.

    The command line prints the message alone and ends with exit status 2.
    """
