"""The door to hosts that a skill names: exact names, addresses checked, every attempt on record."""
