"""Greets people, politely."""

import os


def greet(name, times=1):
    word = {"de": "Hallo"}.get(os.environ.get("GREETER_LANG", "en"), "Hello")
    return "\n".join([f"{word}, {name}!"] * times)
