"""The process that compiles: it imports Vela once, which takes most of a second, and forks for every file.

A file that ends the compiler ends that fork alone. `compiler.py` talks to it: a line of JSON each way.
"""

import json
import os
import sys
from pathlib import Path

#: what the compiler says, and its trace where it fails, in the folder of the file
SAID = "said.txt"


def main() -> None:
    """Compiles file after file until the standard input ends: `[folder, argument, …]` in, the status out."""
    from ethosu.vela import vela  # the extra `ethos`

    answers = os.dup(1)
    _write(answers, "ready")
    for line in sys.stdin:
        folder, *arguments = json.loads(line)
        child = os.fork()
        if not child:
            _compile(vela, Path(folder), arguments)
        _write(answers, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _compile(vela: object, folder: Path, arguments: list[str]) -> None:
    """Compiles in the fork, which ends here whatever happens: it must not go on as the process that forks."""
    code = 1
    try:
        os.chdir(folder)
        said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        try:
            code = vela.main(arguments) or 0  # type: ignore[attr-defined]
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except Exception as error:
            print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _write(descriptor: int, what: object) -> None:
    os.write(descriptor, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
