"""Gets the identity token of the GitHub Actions job that the program runs in.

Source: GitHub's docs, "OpenID Connect reference": the variables of a job that has `id-token: write`.
"""

import os
from urllib.parse import quote

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

_URL, _TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_TIMEOUT = (10, 30)  # seconds to connect, and to wait for an answer


def identity_token(audience: str) -> str:
    """A JSON Web Token that proves to `audience` which workflow of which repository this is.

    It lasts for some minutes. Raises RunnerError SECRET_MISSING, which shows no token.
    """
    url, token = os.environ.get(_URL, ""), os.environ.get(_TOKEN, "")
    if not url or not token:
        hint = "in GitHub Actions: `permissions: {id-token: write}`, as `skillrunner workflow sync` writes it"
        raise _missing("nobody here gives identity tokens", hint)
    found = _asked(f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}", token)
    if not isinstance(found, str) or not found:
        raise _missing("the platform gave no identity token", "run the job again")
    return found


def is_available() -> bool:
    """Whether the platform gives this job identity tokens."""
    return bool(os.environ.get(_URL) and os.environ.get(_TOKEN))


def visibility(token: str) -> str:
    """Who sees the job's repository, as its identity token says: "public", "private", "internal".

    The token comes from the platform itself, over its own connection: its signature is for others to check.
    """
    import jwt

    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return "unknown"
    return str(claims.get("repository_visibility", "unknown"))


def _asked(url: str, token: str) -> object:
    import requests

    try:
        answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT)
        answer.raise_for_status()
        return answer.json().get("value")
    except requests.HTTPError as error:
        status = error.response.status_code
        raise _missing(f"the platform refused an identity token: {status}", "run the job again") from None
    except (requests.RequestException, ValueError, AttributeError) as error:
        cause = f"the platform gave no identity token: {type(error).__name__}"
        raise _missing(cause, "run the job again") from None


def _missing(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.PLAN, Reason.SECRET_MISSING, message, hint=hint)
