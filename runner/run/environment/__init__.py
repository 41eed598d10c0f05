"""The parts of an environment besides its image: read from a commit, never from a work tree."""
