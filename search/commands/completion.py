"""`atoll completion`: what a shell has to run so that Tab completes commands and options."""

import os
from typing import Annotated, Any, Literal

import typer

from ..terminal.said import tell

#: by which a shell asks, while a person types
VARIABLE = "_ATOLL_COMPLETE"


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="Which shell.")],
) -> None:
    """Print what switches on completion of commands and options: eval "$(atoll completion bash)"."""
    from typer.completion import get_completion_script

    tell(get_completion_script(prog_name="atoll", complete_var=VARIABLE, shell=shell))


def answer_shell(command: Any) -> int | None:
    """Answers a shell that asks what could follow, and returns the exit status; None where none asks.

    Args:
        command: the whole command line.
    """
    asked = os.environ.get(VARIABLE)
    if not asked:
        return None
    from typer.completion import completion_init, shell_complete

    completion_init()
    return shell_complete(command, {}, "atoll", VARIABLE, asked)
