"""What an environment is made of besides an image's name: read from a commit, never from a work tree."""
