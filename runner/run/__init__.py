"""THE main path: from a skill and what starts it to a run that has ended.

In: a start (skill, trigger, base commit) and what a run is made with. Out: an end, stored, with its receipts.
"""
