"""A message to people or programs: a chat room of Slack, a webhook, or e-mail.

No receiver can be asked what it has got, so a message may come twice where a run was killed just after it was
sent. A webhook's has the same `webhook-id` each time, an e-mail the same Message-ID. Sources: Standard
Webhooks 1.0 (standardwebhooks.com); Slack, "Incoming webhooks", "Formatting text"; RFC 5322.
"""

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import Field, model_validator

from runner.clients.http_post import post_bytes
from runner.config.documents import Many, Model, Text
from runner.config.options import Variable
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Receipt
from runner.core.redact import escape_invisible
from runner.core.units import Maybe
from runner.publish.outputs import Offer, Output, _item
from runner.publish.outputs.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.publish.forges import Forge
    from runner.workspace.changeset import Changeset

_TEXT = 30_000  # characters; Slack takes 40,000
_TIMEOUT = 30.0  # seconds for a mail server
Address = Annotated[str, Field(pattern=r"^[^\s@<>]+@[^\s@<>]+$", max_length=320)]


class EmailOptions(Model):
    """Where mails go, and by which server."""

    smtp: Variable = Field(
        description='The secret with the server: "smtps://user:password@host", or smtp:// with STARTTLS'
    )
    sender: Address = Field(description="Who the mail is from")
    to: Annotated[Many[Address], Field(min_length=1, max_length=50)] = Field(description="Who gets it")


class Destination(Model):
    """Exactly one place."""

    slack: Maybe[Variable] = Field(default=None, description="The secret with an incoming webhook of Slack")
    webhook: Maybe[Variable] = Field(default=None, description="The secret with the address of a webhook")
    signing_key: Maybe[Variable] = Field(
        default=None, description="With `webhook`: the secret with the key that signs it, `whsec_...`"
    )
    email: Maybe[EmailOptions] = Field(default=None, description="Mails")

    @model_validator(mode="after")
    def _is_one(self) -> "Destination":
        if sum(one is not None for one in (self.slack, self.webhook, self.email)) != 1:
            raise ValueError("should name one of slack, webhook and email")
        if self.signing_key is not None and self.webhook is None:
            raise ValueError("has `signing_key`, which is for `webhook`")
        return self


class NotifyOptions(_item.ItemOptions):
    """A message to people or programs."""

    to: Destination = Field(description="Where it goes", examples=[{"webhook": "HOOK_URL"}])


class NotifyDeclaration(_item.ItemDeclaration):
    """A message."""

    title: Text = Field(description="what it is about, in one line")
    text: Text = Field(description="the message, as plain text")


class NotifyOutput(Output):
    name = "notify"
    options = NotifyOptions
    declares = NotifyDeclaration
    each = True

    def secrets(self, options: "Mapping[str, Any]") -> "Sequence[str]":
        to = options["to"]
        mail = to.get("email") or {}
        return tuple(
            filter(None, (to.get("slack"), to.get("webhook"), to.get("signing_key"), mail.get("smtp")))
        )

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Send the message, unless this run has sent it. Raises RunnerError where it was not taken."""
        said = NotifyDeclaration.model_validate(dict(offer.item.fields if offer.item else {}))
        key, to = _item.item_key(offer), offer.output.options["to"]
        name = f"notified-{offer.position + 1}.json"
        identity = f"msg_{hashlib.sha256(f'{offer.run_id} {key}'.encode()).hexdigest()[:32]}"
        record = json.dumps({"id": identity, "title": said.title}).encode()
        if offer.load(name) is None:
            offer.stop()
            if wrong := _send(offer, to, said, identity):
                message = f"the message was not taken: {wrong}"
                raise RunnerError(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE, message, retryable=True)
        return _item.keep(offer, key, name, record, "application/json")


PLUGINS = (NotifyOutput,)


def _send(offer: Offer, to: "Mapping[str, Any]", said: NotifyDeclaration, identity: str) -> str:
    """What went wrong; empty: nothing did."""
    if name := to.get("slack"):
        return post_bytes(offer.secrets[name], json.dumps(_for_slack(offer, said)).encode(), {})
    if name := to.get("webhook"):
        key = offer.secrets.get(to.get("signing_key") or "", "")
        body = json.dumps(_for_programs(offer, said), ensure_ascii=False).encode("utf-8", "replace")
        return post_bytes(offer.secrets[name], body, headers(identity, int(time.time()), body, key))
    return _mail(offer, to["email"], said, identity)


def _foot(offer: Offer) -> str:
    return f"skillrunner · skill {offer.spec.skill.name} · run {offer.run_id}"


def _for_slack(offer: Offer, said: NotifyDeclaration) -> dict[str, Any]:
    """Slack acts on what stands in angle brackets: mentions of people, rooms and all."""
    text = f"{one_line(said.title, 200)}\n{escape_invisible(said.text)[:_TEXT]}\n{_foot(offer)}"
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": safe, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False, "link_names": False}


def _for_programs(offer: Offer, said: NotifyDeclaration) -> dict[str, Any]:
    data = {
        "run": offer.run_id,
        "skill": offer.spec.skill.name,
        "repository": offer.spec.repository.name,
        "title": said.title,
        "text": said.text[:_TEXT],
        "published": [one.url for one in offer.receipts if one.is_public],
    }
    return {"type": "skillrunner.notify", "data": data}


def headers(identity: str, at: int, body: bytes, key: str) -> dict[str, str]:
    """The headers of Standard Webhooks; without a key it is not signed. `at`: seconds since 1970."""
    found = {"webhook-id": identity, "webhook-timestamp": str(at)}
    if key:
        secret = base64.b64decode(key.removeprefix("whsec_"))
        made = hmac.new(secret, f"{identity}.{at}.".encode() + body, hashlib.sha256).digest()
        found["webhook-signature"] = f"v1,{base64.b64encode(made).decode()}"
    return found


def _mail(offer: Offer, to: "Mapping[str, Any]", said: NotifyDeclaration, identity: str) -> str:
    import smtplib
    from email.message import EmailMessage

    message = EmailMessage()
    message["Subject"] = one_line(said.title, 200)
    message["From"], message["To"] = to["sender"], ", ".join(to["to"])
    message["Message-ID"] = f"<{identity}@skillrunner.invalid>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{escape_invisible(said.text)[:_TEXT]}\n\n-- \n{_foot(offer)}\n")
    server = urlsplit(offer.secrets[to["smtp"]])
    is_tls = server.scheme == "smtps"
    port = server.port or (465 if is_tls else 587)
    try:
        kind = smtplib.SMTP_SSL if is_tls else smtplib.SMTP
        with kind(server.hostname or "", port, timeout=_TIMEOUT) as session:
            if not is_tls and server.username:
                session.starttls()
            if server.username:
                session.login(unquote(server.username), unquote(server.password or ""))
            session.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        return f"the mail server: {type(error).__name__}"  # its answer may hold what was sent
    return ""
