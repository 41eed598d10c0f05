"""Lets a sandbox reach the hosts that a skill names: exact names, checked addresses, recorded attempts."""
