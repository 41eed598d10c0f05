"""Greets people, politely."""

import os


def greet(name, times=2):
    word = {"de": "Hallo"}.get(os.environ.get("GREETER_LANG", "en"), "Hello")
    return "\n".join([f"{word}, {name}!"] * times)


def farewell(name):
    """Say goodbye to one person."""
    return f"Goodbye, {name}!"
