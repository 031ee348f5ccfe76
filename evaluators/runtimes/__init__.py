"""Other releases of the runtime than this machine's: installed on demand, and run in a process of its own.

Which releases there are is known in `hw_models/runtimes/`; what a file gave is judged elsewhere.
"""
