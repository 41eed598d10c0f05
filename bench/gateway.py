"""The gateway beside a direct connection: what it adds to a call, how much goes through, many at once.

What a process between two others can reach at best is told by a relay that only copies, in the same rounds.

Usage: gateway.py [--calls N] [--megabytes N]. Model, gateway and client are a process each. The model and the
web site are plain servers on the loopback device, so that nothing but the gateway lies between.
"""

import argparse
import asyncio
import base64
import http.client
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = "site.example"
ASK = b'{"model": "claude-sonnet-4-5", "messages": [], "stream": true}'
HEADERS = {"Content-Type": "application/json", "x-api-key": "placeholder"}
SMALL = (
    b'{"type": "message", "usage": {"input_tokens": 10, "output_tokens": 10}, "content": [{"text": "%s"}]}'
)
BEGIN = (
    b'event: message_start\ndata: {"type": "message_start", "message": {"model": "claude-sonnet-4-5", '
    b'"usage": {"input_tokens": 10, "output_tokens": 1}}}\n\n'
)
PIECE = b'event: delta\ndata: {"type": "delta", "text": "' + b"x" * 16_000 + b'"}\n\n'


# --- the model, and a web site ---------------------------------------------------------------------------


async def _model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """POST /N/v1/messages streams N megabytes, 0 is a small answer; /slow/... tells the time 100 times."""
    try:
        while line := await reader.readline():
            length = 0
            while (header := await reader.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            await reader.readexactly(length)
            await _answer(writer, line.split()[1].split(b"/")[1].decode())
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _answer(writer: asyncio.StreamWriter, what: str) -> None:
    if what == "0":
        body = SMALL % (b"x" * 1_000)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    if what == "slow":
        for _ in range(100):
            await asyncio.sleep(0.02)
            event = b"data: %f\n\n" % time.time()
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
    else:
        writer.write(b"%x\r\n%s\r\n" % (len(BEGIN), BEGIN))
        for _ in range(int(what) * 1_000_000 // len(PIECE)):
            writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def serve_model() -> None:
    async def main() -> None:
        server = await asyncio.start_server(_model, "127.0.0.1", 0, limit=1 << 20)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(main())


def serve_site(certificate: str) -> None:
    """TLS; sends what is asked for, in megabytes, and closes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            with context.wrap_socket(listener.accept()[0], server_side=True) as line:
                block = b"x" * 1_000_000
                for _ in range(int(line.recv(100))):
                    line.sendall(block)


def serve_relay(*ports: str) -> None:
    """Copies between its clients and each of the servers, and looks at nothing: the least there is."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        buffer = memoryview(bytearray(256 * 1024))
        with suppress(OSError):
            while count := source.recv_into(buffer):
                target.sendall(buffer[:count])
            target.shutdown(socket.SHUT_WR)

    def accept(listener: socket.socket, port: int) -> None:
        while True:
            near, far = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=copy, args=ends, daemon=True).start()

    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in ports]
    for listener, port in zip(listeners, ports, strict=True):
        threading.Thread(target=accept, args=(listener, int(port)), daemon=True).start()
    print(*(listener.getsockname()[1] for listener in listeners), flush=True)
    sys.stdin.read()


def serve_gateway(model: str, site: str) -> None:
    from dataclasses import replace

    from runner.config.network import network_rules
    from runner.gateway.egress.proxy import EgressHandler
    from runner.gateway.model.budget import Account
    from runner.gateway.model.provider import primary_provider
    from runner.gateway.model.proxy import ModelProxy
    from runner.gateway.server import GatewayHandlers, serve_gateway
    from runner.harnesses.claude_code import ClaudeCode

    endpoints = tuple(f"POST /{what}/v1/messages" for what in ("slow", *range(1001)))
    access = replace(ClaudeCode.model, upstream=f"http://127.0.0.1:{model}", endpoints=endpoints)

    def doors(token: str) -> GatewayHandlers:
        egress = EgressHandler(
            rules=network_rules([HOST], [HOST]),
            token=token,
            on_attempt=lambda _: None,
            resolve=lambda _: ["127.0.0.1"],
        )
        providers = (primary_provider(access, "sk-key", ""),)
        proxy = ModelProxy(providers=providers, endpoints=access.endpoints, token=token, account=Account())
        return GatewayHandlers(model=proxy, egress=egress)

    with serve_gateway(socket.create_server(("127.0.0.1", 0), backlog=256), doors) as gateway:
        print(gateway.address, gateway.token, flush=True)
        sys.stdin.read()


@contextmanager
def process(*what: str) -> Iterator[tuple[list[str], int]]:
    """One of the servers above: what it printed first, and its id."""
    command = [sys.executable, __file__, *what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            yield started.stdout.readline().split(), started.pid
        finally:
            started.kill()


# --- the client ------------------------------------------------------------------------------------------


class Way:
    """How to come to the model and to the site: directly, or through the gateway."""

    def __init__(
        self, name: str, model: tuple[str, int], below: str, site: Callable[[], socket.socket]
    ) -> None:
        self.name, self.model, self.below, self.site = name, model, below, site

    def ask(self, connection: http.client.HTTPConnection, what: str) -> http.client.HTTPResponse:
        connection.request("POST", f"{self.below}/{what}/v1/messages", ASK, HEADERS)
        return connection.getresponse()

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.model)


def latency(ways: list[Way], calls: int) -> None:
    """Calls in turn, each way by a connection of its own that stays open, as agents keep theirs."""
    connections = {way.name: way.connection() for way in ways}
    taken: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(calls + 50):
        for way in ways:
            began = time.perf_counter()
            way.ask(connections[way.name], "0").read()
            if number >= 50:
                taken[way.name].append((time.perf_counter() - began) * 1000)
    direct, ours = (sorted(taken[way.name]) for way in ways)
    for name, at in (("median", 0.5), ("p99", 0.99)):
        one, other = direct[int(calls * at)], ours[int(calls * at)]
        goal = " (goal: 2 ms)" if name == "p99" else ""
        print(
            f"a call, {name}: {one:.2f} ms direct, {other:.2f} ms by the gateway: +{other - one:.2f} ms{goal}"
        )


def throughput(what: str, ways: list[Way], once: Callable[[Way], float], rounds: int = 7) -> None:
    """Megabytes a second, in turn; the medians of the rounds' ratios."""
    found = [[once(way) for way in ways] for _ in range(rounds)]
    direct, relay, ours = (statistics.median(column) for column in zip(*found, strict=True))
    ratio = statistics.median(row[2] / row[0] for row in found)
    floor = statistics.median(row[2] / row[1] for row in found)
    print(
        f"{what}: {direct:.0f} MB/s direct, {relay:.0f} MB/s by a relay, {ours:.0f} MB/s by the gateway: "
        f"{ratio:.2f} of direct, {floor:.2f} of the relay (goals: 200 MB/s, 0.8)"
    )


def stream(megabytes: int) -> Callable[[Way], float]:
    def once(way: Way) -> float:
        began, size, buffer = time.perf_counter(), 0, bytearray(1 << 20)
        connection = way.connection()
        answer = way.ask(connection, str(megabytes))
        while count := answer.readinto(buffer):
            size += count
        connection.close()
        return size / 1e6 / (time.perf_counter() - began)

    return once


def download(megabytes: int) -> Callable[[Way], float]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def once(way: Way) -> float:
        began, size, buffer = time.perf_counter(), 0, bytearray(1 << 20)
        with context.wrap_socket(way.site(), server_hostname=HOST, suppress_ragged_eofs=True) as line:
            line.sendall(b"%d" % megabytes)
            while count := line.recv_into(buffer):
                size += count
        return size / 1e6 / (time.perf_counter() - began)

    return once


def many(ways: list[Way], count: int) -> None:
    """Streams at once, whose events tell when they were sent: how late the latest event came."""
    for way in ways:
        late: list[float] = []

        def listen(way: Way = way, late: list[float] = late) -> None:
            answer = way.ask(way.connection(), "slow")
            while line := answer.readline():
                if line.startswith(b"data: "):
                    late.append((time.time() - float(line[6:])) * 1000)

        threads = [threading.Thread(target=listen) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        late.sort()
        median, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
        told = f"median {median:.1f} ms, p99 {p99:.1f} ms, at most {late[-1]:.0f} ms late"
        print(f"{count} streams at once, {way.name}: {len(late):,} of {count * 100:,} events, {told}")


def memory(way: Way, pid: int, count: int) -> None:
    """Resident memory of the gateway's process while calls are open."""
    before, open_ones = resident(pid), []
    for _ in range(count):
        connection = way.connection()
        way.ask(connection, "slow").readline()
        open_ones.append(connection)
    print(f"memory: {before:.0f} MB idle, {resident(pid):.0f} MB with {count} calls open (goal: 150 MB)")
    for connection in open_ones:
        connection.close()


def resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def certificate(folder: Path) -> str:
    file = folder / "site.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"]
    subprocess.run([*made, "-keyout", f"{file}.key", "-out", f"{file}.crt"], check=True, capture_output=True)
    file.write_bytes(Path(f"{file}.crt").read_bytes() + Path(f"{file}.key").read_bytes())
    return str(file)


def measure(calls: int, megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pem = certificate(Path(folder))
        with (
            process("model") as (model, _),
            process("site", pem) as (site, _),
            process("relay", model[0], site[0]) as (relays, _),
            process("gateway", model[0], site[0]) as (gateway, pid),
        ):
            address, token = gateway
            host, _, port = address.partition(":")

            def direct() -> socket.socket:
                return socket.create_connection(("127.0.0.1", int(site[0])))

            def through() -> socket.socket:
                line = socket.create_connection((host, int(port)))
                proof = base64.b64encode(f"run:{token}".encode()).decode()
                head = f"CONNECT {HOST}:{site[0]} HTTP/1.1\r\nProxy-Authorization: Basic {proof}\r\n\r\n"
                line.sendall(head.encode())
                line.recv(1000)
                return line

            def relayed() -> socket.socket:
                return socket.create_connection(("127.0.0.1", int(relays[1])))

            ways = [
                Way("direct", ("127.0.0.1", int(model[0])), "", direct),
                Way("by the gateway", (host, int(port)), f"/{token}", through),
            ]
            latency(ways, calls)
            three = [ways[0], Way("by a relay", ("127.0.0.1", int(relays[0])), "", relayed), ways[1]]
            throughput(f"an answer of {megabytes} MB", three, stream(megabytes))
            throughput(f"{megabytes} MB of TLS from another host", three, download(megabytes))
            many(ways, 50)
            memory(ways[1], pid, 100)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("serve", nargs="*")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--megabytes", type=int, default=200)
    given = parser.parse_args()
    match given.serve:
        case []:
            measure(given.calls, given.megabytes)
        case ["model"]:
            serve_model()
        case ["site", pem]:
            serve_site(pem)
        case ["relay", *ports]:
            serve_relay(*ports)
        case ["gateway", model, site]:
            serve_gateway(model, site)


if __name__ == "__main__":
    main()
