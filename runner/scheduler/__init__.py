"""What becomes of each slot and event: who starts, who waits, who is skipped, and what is tried again.

In: skills, slots, events and stored facts. Out: decisions and alerts, to be stored.
"""
