"""What people start: the command line, the worker, the Action, the web.

In: arguments, events, requests. Out: exit codes, pages, and runs started through `runner.run`.
"""
