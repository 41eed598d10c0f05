"""Property tests judge what is found, never how long it took, and look at the same examples each time.

`--hypothesis-profile` says how many: `full` is what CI runs, `fast` a fifth of that, and `explore` ten times
as many, which are others each time.
"""

from hypothesis import settings

EXAMPLES = 100

settings.register_profile("full", deadline=None, derandomize=True, max_examples=EXAMPLES)
settings.register_profile("fast", settings.get_profile("full"), max_examples=EXAMPLES // 5)
settings.register_profile("explore", deadline=None, derandomize=False, max_examples=EXAMPLES * 10)
settings.load_profile("full")


def examples(full: int) -> int:
    """How many examples a test looks at that needs `full` of them in CI."""
    return full * settings.default.max_examples // EXAMPLES
