"""Arm's Ethos-U in five sizes: devices whose figures are a compiler's estimates. Nobody here measured one."""
