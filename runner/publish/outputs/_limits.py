"""Why a run of a skill may not start now: too many of its pull requests, or a window that is shut."""

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from runner.core.model import OutputSpec
from runner.publish.outputs._marker import BRANCHES, branch
from runner.publish.outputs._options import DAYS, PullRequestOptions, WindowOptions, options_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.publish.forges import Forge, PullRequest
    from runner.publish.outputs import Start

_HOUR = timedelta(hours=1)


def why_held(output: OutputSpec, start: "Start", forge: "Forge") -> str:
    """The limit that is reached, in a sentence; empty: none is, or none holds this run."""
    options = options_of(output)
    if options.security or (options.limits_for == "schedule" and start.trigger.kind != "schedule"):
        return ""
    if shut := shut_window(options.window, start.now):
        return shut
    found = forge.pull_requests_below(f"{BRANCHES}{start.skill}/", start.now - _HOUR)
    key = str(options.key or start.trigger.subject or "default")
    return reached_limit(options, branch(start.skill, key), found or (), start.now)


def reached_limit(
    options: PullRequestOptions, own: str, found: "Sequence[PullRequest]", now: datetime
) -> str:
    """Which limit keeps another pull request from being opened. Pure.

    A run whose pull request is open already, with the branch `own`, opens none.
    """
    opened = [pull for pull in found if pull.state == "open"]
    if own in (pull.branch for pull in opened):
        return ""
    if len(opened) >= options.max_open:
        return (
            f"{len(opened)} pull requests of the skill are open, and `max_open` is {options.max_open}:"
            " merge or close some"
        )
    since = now - _HOUR
    recent = sorted(pull.created_at for pull in found if pull.created_at and pull.created_at > since)
    if len(recent) >= options.max_hourly:
        again = recent[-options.max_hourly] + _HOUR
        return (
            f"{len(recent)} pull requests of the skill were opened within an hour, and `max_hourly` is"
            f" {options.max_hourly}: the next may come at {again:%Y-%m-%d %H:%M} UTC"
        )
    return ""


def shut_window(window: WindowOptions | None, now: datetime) -> str:
    """Why pull requests may not come now; empty: they may. Pure."""
    if window is None:
        return ""
    begin, end = _hours(window.hours)
    here = now.astimezone(ZoneInfo(window.timezone))
    today, at = here.date(), here.time()
    began = today if begin < end or at >= begin else today - timedelta(days=1)
    inside = begin <= at < end if begin < end else at >= begin or at < end
    if inside and DAYS[began.weekday()] in window.days:
        return ""
    return (
        f"pull requests may come {', '.join(window.days)} {window.hours} {window.timezone},"
        f" and it is {DAYS[here.weekday()]} {here:%H:%M} there"
    )


def _hours(text: str) -> tuple[time, time]:
    begin, end = text.split("-")
    return time.fromisoformat(begin), time.max if end == "24:00" else time.fromisoformat(end)
