"""The stages of a run, one file each: each opens what its step of `execute.py` needs."""
