"""The structures and constraints that techniques leave behind; each states its own cost."""
