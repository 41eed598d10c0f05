"""Notifies systemd about a service of `Type=notify`: sd_notify(3), without its library."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class SystemdNotifier:
    """Sends states to the supervisor's socket; without an address it sends nothing."""

    address: str = ""
    interval: float = 0.0  # seconds between two WATCHDOG signals; 0: the supervisor expects none
    _next: float = field(default=0.0, repr=False)
    _ready: bool = field(default=False, repr=False)
    _status: str = field(default="", repr=False)

    def ready(self) -> None:
        """Report that work has begun; only the first call sends it."""
        if not self._ready:
            self._ready = True
            self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows; sent only when it changed."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """Send a WATCHDOG signal every `interval` seconds. The loop that could hang calls this."""
        now = time.monotonic()
        if self.interval and now >= self._next:
            self._next = now + self.interval
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        """Best effort, as in systemd's own library: a supervisor that is gone is no reason to fail."""
        if not self.address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(1)
            try:
                sender.sendto(state.encode(), self.address)
            except OSError:
                return


def supervisor(variables: Mapping[str, str] = os.environ, pid: int | None = None) -> SystemdNotifier:
    """The notifier for the process's supervisor, read from NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.

    A name that begins with @ is one of the abstract namespace of unix(7).
    """
    address = variables.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return SystemdNotifier()
    name = f"\0{address[1:]}" if address.startswith("@") else address
    limit = variables.get("WATCHDOG_USEC", "")
    ours = variables.get("WATCHDOG_PID", "") in ("", str(pid or os.getpid()))
    return SystemdNotifier(name, int(limit) / 2_000_000 if ours and limit.isdigit() else 0.0)
