"""What every room stands on: records, errors, kinds by name, redaction, safe files.

In: nothing of ours. Out: values and small helpers that decide nothing about a run.
"""
