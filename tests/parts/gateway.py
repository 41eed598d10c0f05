"""The gateway of a run that is none: on this machine's loopback, with a model and nothing else behind it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from runner.config.network import NetworkRules
from runner.gateway import factory
from runner.gateway.factory import ModelRouteOptions
from runner.gateway.model.budget import Account
from runner.gateway.server import GatewayAddress
from runner.harnesses import ModelAccess


@contextmanager
def open_gateway(
    access: ModelAccess,
    key: str,
    upstream: str = "",
    account: Account | None = None,
    listener: socket.socket | None = None,
) -> Iterator[GatewayAddress]:
    """On `listener`, which is closed at the end."""
    model = ModelRouteOptions(access=access, key=key, upstream=upstream, account=account or Account())
    socket_ = listener or socket.create_server(("127.0.0.1", 0))
    with factory.open_gateway(socket_, model, NetworkRules(), lambda _: None) as opened:
        yield opened
