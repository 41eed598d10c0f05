"""The worker: a daemon that polls repositories, decides on all that was due, and carries out what starts."""
