"""What failed for the moment is called again, after waits that grow."""

import pytest

from runner.core.retrying import chance, delay, retry


class WrongError(Exception):
    pass


class Script:
    """Raises what it is given, one after the other, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.slept, self.calls = list(errors), list[float](), 0

    def call(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def run(self) -> str:
        return retry(self.call, WrongError, lambda one: one.args != ("final",), (1.0, 2.0), self.slept.append)


def test_it_is_called_until_it_succeeds() -> None:
    assert (Script().run(), Script(WrongError()).run()) == ("done", "done")
    script = Script(WrongError(), WrongError())
    assert (script.run(), script.calls, script.slept) == ("done", 3, [1.0, 2.0])


def test_the_last_error_comes_out() -> None:
    script = Script(*(WrongError(number) for number in range(4)))
    with pytest.raises(WrongError, match="2"):
        script.run()
    assert (script.calls, script.slept) == (3, [1.0, 2.0])


@pytest.mark.parametrize("error", [WrongError("final"), KeyError("other")])
def test_what_is_not_temporary_comes_out_at_once(error: Exception) -> None:
    script = Script(error)
    with pytest.raises(type(error)):
        script.run()
    assert (script.calls, script.slept) == (1, [])


def test_delays_double_up_to_the_longest() -> None:
    assert [delay(attempt, 2, 12) for attempt in (1, 2, 3, 4, 10_000)] == [2, 4, 8, 12, 12]
    assert delay(2, 2, 12, luck=0.25) == 1


def test_chance_is_drawn_between_its_bounds() -> None:
    drawn = [chance(0.5) for _ in range(200)]
    assert all(0.5 <= one <= 1 for one in drawn)
    assert len(set(drawn)) > 100
