"""GitHub, heard by its webhooks and by polling its lists."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runner.clients.github.api import GitHubApi
from runner.triggers.sources import EventSource, Feed, PollResult, PollTarget, ReceivedBody
from runner.triggers.sources.github import webhook
from runner.triggers.sources.github.cursor import Cursor
from runner.triggers.sources.github.poll import poll, wanted_lists


@dataclass(frozen=True, slots=True)
class _GitHubFeed(Feed):
    api: GitHubApi

    def poll(self, cursor: Mapping[str, Any], wanted: Collection[str], now: datetime) -> PollResult | None:
        if not wanted_lists(wanted):
            return None
        read = poll(self.api, Cursor.load(cursor), wanted, now)
        return PollResult(events=read.events, cursor=read.cursor.dump(), faults=read.faults)


class GitHubSource(EventSource):
    name = "github"

    def receive(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[str],
        serves: Callable[[str], bool],
        now: datetime,
    ) -> ReceivedBody:
        return webhook.receive(headers, body, secrets, serves, now)

    def connect(self, target: PollTarget) -> Feed | None:
        if target.forge != self.name:
            return None
        url = target.config.github.api_url
        api = GitHubApi(
            api_url=url, repository=target.repository, token=target.token, pacer=target.pacer, max_wait=0.0
        )
        return _GitHubFeed(api)


PLUGINS = (GitHubSource,)
