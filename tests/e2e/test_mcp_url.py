"""An MCP server with an address, which real agents reach through the gateway's door to other hosts."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.config.documents import Model
from runner.config.network import NetworkRules, network_rules
from runner.core.model import Limits, McpServer
from runner.gateway.egress.proxy import Attempt, EgressHandler
from runner.gateway.factory import ModelRouteOptions, open_gateway
from runner.gateway.mcp import Tool
from runner.gateway.model.budget import Account
from runner.gateway.model.provider import primary_provider
from runner.gateway.model.proxy import ModelProxy
from runner.gateway.server import GatewayAddress, GatewayHandlers, serve_gateway
from runner.harnesses import ModelAccess
from tests.parts import agents
from tests.parts.model_server import ModelServer
from tests.parts.sessions import WRITE, run_agent

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

HOST = "mcp.example"
SCRIPT = [WRITE, [{"tool": "tickets/look", "with": {"where": "there"}}], [{"say": "Done."}]]


class Place(Model):
    where: str


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that of an authority, and the host's own, which not every client takes for one."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(command: str) -> None:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)

    new = "req -x509 -newkey rsa:2048 -nodes -days 2"
    openssl(f"{new} -subj /CN=authority -keyout authority.key -out authority.crt")
    signed = "-CA authority.crt -CAkey authority.key -addext basicConstraints=critical,CA:FALSE"
    openssl(f"{new} -subj /CN={HOST} -addext subjectAltName=DNS:{HOST} {signed} -keyout key -out crt")
    return folder


@contextmanager
def server(certificate: Path, called: list[str]) -> Iterator[str]:
    """The address of an MCP server that has the host's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "crt", certificate / "key")
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)

    def look(given: Place) -> str:
        called.append(given.where)
        return "looked"

    tool = Tool(name="look", description="Look there", arguments=Place, call=look)
    with open_gateway(listener, ModelRouteOptions(), NetworkRules(), lambda _: None, [tool]) as opened:
        yield opened.mcp.replace("http://127.0.0.1", f"https://{HOST}")


@pytest.mark.parametrize("agent", ["claude", "codex", "gemini", "opencode", "qwen", "copilot"])
def test_a_server_is_reached_through_the_gateway(
    agent: str, tmp_path: Path, local_image: str, model_server: ModelServer, certificate: Path
) -> None:
    called: list[str] = []
    attempts: list[Attempt] = []

    @contextmanager
    def opened(access: ModelAccess, key: str, upstream: str, listener: Any) -> Iterator[GatewayAddress]:
        def doors(token: str) -> GatewayHandlers:
            egress = EgressHandler(
                rules=network_rules([HOST], [HOST]),
                token=token,
                on_attempt=attempts.append,
                resolve=lambda _: ["127.0.0.1"],
            )
            provider = primary_provider(access, key, upstream)
            asked = {"endpoints": access.endpoints, "token": token, "account": Account()}
            proxy = ModelProxy(providers=(provider,), **asked)
            return GatewayHandlers(model=proxy, egress=egress, close=proxy.close)

        with serve_gateway(listener, doors) as gateway:
            yield gateway

    upstream = model_server.url(f"url-{agent}-{tmp_path.name}", SCRIPT)
    authority = "/workspace/ca.crt"
    trusted = dict.fromkeys(("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"), authority)
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "ca.crt").write_bytes((certificate / "authority.crt").read_bytes())
    with server(certificate, called) as url:
        ran = run_agent(
            agent,
            agents.AGENTS[agent](),
            local_image,
            tmp_path,
            upstream,
            Limits(timeout=120),
            mcp=[McpServer(name="tickets", url=url)],
            variables=trusted,
            opened=opened,
        )
    assert called == ["there"], ran.seen
    assert (HOST, "") in {(one.host, one.refused) for one in attempts}
