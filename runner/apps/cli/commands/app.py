"""`skillrunner app`: a GitHub App of one's own, made from a page on this machine."""

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import Options, json_option, settings
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.units import parse_duration

if TYPE_CHECKING:
    from pathlib import Path

    from runner.clients.github.manifest import NewApp
    from runner.config.settings import Config

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,33}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}")


@click.group()
def command() -> None:
    """Make a GitHub App for a worker or the Action."""


@command.command()
@click.option("--name", default="skillrunner", show_default=True, help="Its name, which no other App has.")
@click.option("--organization", default="", help="Whose App it is.  [default: whoever is signed in]")
@click.option("--webhook", default="", help="Where a worker hears: https://…/webhooks/github.")
@click.option("--timeout", default="10m", show_default=True, help="How long to wait for GitHub's answer.")
@json_option
@click.pass_obj
def create(options: Options, name: str, organization: str, webhook: str, timeout: str, as_json: bool) -> None:
    """Make a GitHub App: open the address that is printed in a browser on this machine.

    GitHub asks for a yes there. Its keys are kept in the state folder, for their owner alone.
    """
    from runner.apps.cli.app_setup import Setup, serving, wait
    from runner.core.private_folder import make_private

    _check(name, organization, webhook)
    seconds = _seconds(timeout)
    config = settings(options)
    make_private(config.state)
    results: list[tuple[NewApp, Path] | RunnerError] = []
    setup = Setup(
        make=partial(_form, config, name, organization, webhook), finish=partial(_finish, config, results)
    )
    with serving(setup):
        say(f"open {setup.url}", err=True)
        if not wait(setup, seconds):
            message = f"GitHub sent no answer within {timeout}"
            hint = "begin again, with a longer --timeout perhaps; nothing was kept"
            raise RunnerError(Phase.LOAD, Reason.FORGE_UNAVAILABLE, message, hint=hint)
    (found,) = results
    if isinstance(found, RunnerError):
        raise found
    _tell(*found, as_json)


def _form(
    config: "Config", name: str, organization: str, webhook: str, state: str, callback: str
) -> tuple[str, Mapping[str, Any]]:
    from runner.clients.github.manifest import app_permissions, form_url, manifest
    from runner.publish.outputs import OUTPUTS

    wanted = [output.permissions for output in OUTPUTS.all().values()]
    permissions = app_permissions([*wanted, {"actions": "read", "issues": "read"}])
    home = f"{config.github.git_url.rstrip('/')}/{organization}".rstrip("/")
    events = [event for event, needed in _EVENTS.items() if needed in permissions]
    made = manifest(name, home, callback, permissions, webhook, events)
    return form_url(config.github.git_url, organization, state), made


_EVENTS = {
    "check_run": "checks",
    "discussion": "discussions",
    "discussion_comment": "discussions",
    "issue_comment": "issues",
    "issues": "issues",
    "pull_request": "pull_requests",
    "pull_request_review": "pull_requests",
    "pull_request_review_comment": "pull_requests",
    "push": "contents",
    "release": "contents",
    "workflow_run": "actions",
}
"""What an App's webhook can tell of, and the permission without which GitHub refuses the manifest."""


def _finish(config: "Config", results: list[Any], code: str) -> str:
    from runner.clients.github.manifest import exchange_code, keep

    try:
        made = exchange_code(config.github.api_url, code)
        results.append((made, keep(made, config.state)))
    except RunnerError as error:
        results.append(error)
        return error.message
    except OSError as error:
        message = f"the App's keys cannot be kept in {config.state}: {error.strerror}"
        hint = "make room there, delete the App in GitHub's settings, and begin again"
        results.append(RunnerError(Phase.LOAD, Reason.DISK_FULL, message, hint=hint))
        return message
    return f"The App {made.slug} is made. How it goes on is said in the terminal."


def _tell(app: "NewApp", folder: "Path", as_json: bool) -> None:
    from runner.clients.github.manifest import KEY, SECRET
    from runner.core.redact import escape_invisible

    key, secret = folder / KEY, folder / SECRET
    if as_json:
        say_json(
            {
                "id": app.id,
                "slug": app.slug,
                "install_url": app.install_url,
                "private_key_file": str(key),
                "webhook_secret_file": str(secret) if app.webhook_secret else None,
            }
        )
        return
    slug, page = escape_invisible(app.slug), escape_invisible(app.install_url)
    say(f"the App {slug} is made, with the id {app.id}")
    say(f"next, install it on repositories:  {page}")
    say("for a worker, in skillrunner.yaml:")
    say(f'  worker: {{app: {{id: "{app.id}", private_key_file: {key}}}}}')
    if app.webhook_secret:
        say("  and webhook_secrets: [WEBHOOK_SECRET] under worker, with this in its environment:")
        say(f"  WEBHOOK_SECRET_FILE={secret}")
    say("for the Action:")
    say(f"  gh variable set SKILLRUNNER_APP_ID --body {app.id}")
    say(f"  gh secret set SKILLRUNNER_APP_PRIVATE_KEY < {key}")


def _check(name: str, organization: str, webhook: str) -> None:
    wrong = (
        ("--name", name, _NAME.fullmatch(name), "at most 34 letters, digits, blanks, - and _"),
        ("--organization", organization, not organization or _OWNER.fullmatch(organization), "its login"),
        (
            "--webhook",
            webhook,
            not webhook or re.fullmatch(r"https://[^\s/]+/\S*", webhook),
            "an https address such as https://worker.example.com/webhooks/github",
        ),
    )
    for option, value, is_good, hint in wrong:
        if not is_good:
            message = f"{option} {value!r} is not possible"
            raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=f"it should be {hint}")


def _seconds(text: str) -> float:
    try:
        found = parse_duration(text)
    except ValueError as error:
        message = f"--timeout {text!r} is no duration"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="--timeout 10m") from error
    return float(found)
