"""Runs many files in one release, each in a child, since some end it: `python -I -S targets_alone.py …`.

PACKAGES MODULE PROGRAM FOLDER…: PROGRAM is `evaluators/runtimes/alone.py`, FOLDERs are such as it takes, and
their names end in the kernels that run them.
"""

import importlib
import os
import runpy
import signal
import sys
from pathlib import Path

#: of the processor's time, for a file that hangs in a release
LIMIT_S = 60

packages, module, program, *folders = sys.argv[1:]
sys.path.append(packages)
importlib.import_module(module)  # once for all children
run = runpy.run_path(program)["main"]
for folder in folders:
    child = os.fork()
    if not child:
        os.dup2(os.open(Path(folder, "said"), os.O_CREAT | os.O_WRONLY), 2)
        signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
        try:
            run(packages, module, folder, folder.rpartition("-")[2])
        except BaseException as error:
            Path(folder, "said").write_text(repr(error))
            os._exit(1)
        os._exit(0)
    Path(folder, "status").write_text(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
