"""The stages of a run, one file each: functions from the context of an attempt to a value."""
