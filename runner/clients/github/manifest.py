"""A GitHub App from a manifest: a person sends GitHub a form, and a code comes back that stands for its keys.

GitHub's "Registering a GitHub App from a manifest". The code is good once, for an hour.
"""

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import scalar_at, text_at

FOLDER = "apps"
"""Below the state folder: a folder for each App that was made, by its id."""

KEY, SECRET, FACTS = "private-key.pem", "webhook-secret", "app.json"
_RANK = ("read", "write", "admin")
_CODE = re.compile(r"[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApp:
    """An App that GitHub has made, with what it tells once and never again."""

    id: str
    slug: str
    url: str  # its page
    private_key: str = field(repr=False)
    webhook_secret: str = field(default="", repr=False)  # empty: it has no webhook

    @property
    def install_url(self) -> str:
        return f"{self.url.rstrip('/')}/installations/new"


def app_permissions(wanted: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The greatest of each, in the words of Apps: a workflow's `pull-requests` is `pull_requests`."""
    found = {"metadata": "read"}
    for name, level in (item for one in wanted for item in one.items()):
        if level in _RANK and name != "id-token":  # a job has that, and no App
            name = name.replace("-", "_")
            found[name] = max(found.get(name, level), level, key=_RANK.index)
    return dict(sorted(found.items()))


def manifest(
    name: str,
    home: str,
    callback: str,
    permissions: Mapping[str, str],
    webhook: str = "",
    events: Iterable[str] = (),
) -> dict[str, Any]:
    """What GitHub is asked to make: an App that only its owner can install; `home` is its website."""
    made: dict[str, Any] = {
        "name": name,
        "url": home,
        "redirect_url": callback,
        "public": False,
        "default_permissions": dict(permissions),
    }
    if webhook:
        made["hook_attributes"] = {"url": webhook, "active": True}
        made["default_events"] = sorted(events)
    return made


def form_url(git_url: str, organization: str, state: str) -> str:
    """Where the form is sent: to the settings of the person who is signed in, or of an organisation."""
    base = git_url.rstrip("/")
    owner = f"{base}/organizations/{organization}" if organization else base
    return f"{owner}/settings/apps/new?state={state}"


def exchange_code(api_url: str, code: str) -> NewApp:
    """The App that a code stands for. It is asked for once: a second time GitHub knows the code no more.

    Raises RunnerError.
    """
    if not _CODE.fullmatch(code):
        raise _refused("GitHub sent no code that could be one")
    api = GitHubApi(api_url=api_url, repository="", token=str)
    try:
        told = api.call("POST", f"{api_url.rstrip('/')}/app-manifests/{code}/conversions").json()
    except RunnerError as error:
        raise _refused(f"GitHub did not tell the App's keys: {error.message}".replace(code, "***")) from None
    app_id, key = scalar_at(told, "id"), text_at(told, "pem")
    if app_id is None or not re.fullmatch(r"[0-9]+", str(app_id)) or "PRIVATE KEY" not in key:
        raise _refused("GitHub's answer holds no App with a private key")
    return NewApp(
        id=str(app_id),
        slug=text_at(told, "slug"),
        url=text_at(told, "html_url"),
        private_key=key,
        webhook_secret=text_at(told, "webhook_secret"),
    )


def keep(app: NewApp, state: Path) -> Path:
    """Write the App's files for their owner alone, all or none; return their folder. Raises OSError."""
    folder = state / FOLDER / app.id
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder.with_name(f".{app.id}.{secrets.token_hex(4)}")
    part.mkdir(mode=0o700)
    facts = {"id": app.id, "slug": app.slug, "url": app.url}
    files = {FACTS: json.dumps(facts, indent=2) + "\n", KEY: app.private_key, SECRET: app.webhook_secret}
    for name, content in files.items():
        if content:
            with os.fdopen(os.open(part / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    part.rename(folder)
    return folder


def _refused(message: str) -> RunnerError:
    hint = "begin again: skillrunner app create; an App without keys can be deleted in GitHub's settings"
    return RunnerError(Phase.LOAD, Reason.FORGE_REJECTED, message, hint=hint)
