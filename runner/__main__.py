"""`python -m runner` is `skillrunner`."""

from runner.cli import main

main()
