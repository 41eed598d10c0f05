"""`python -m runner` is `skillrunner`."""

from runner.apps.cli.main import main

main()
