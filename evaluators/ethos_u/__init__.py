"""What Arm's compiler Vela makes of a file for an Ethos-U: what maps, its estimates, the compiled file.

The compiler is run in processes of its own. What a device is called, and which system it stands for, is in
`hw_models/ethos_u/`.
"""
