"""What systemd is told about a service of `Type=notify`: sd_notify(3), without its library."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class SystemdNotifier:
    """The socket of whoever supervises us; without one, nothing is said to nobody."""

    address: str = ""
    interval: float = 0.0  # seconds between two signs of life; 0: nobody waits for them
    _next: float = field(default=0.0, repr=False)
    _ready: bool = field(default=False, repr=False)
    _status: str = field(default="", repr=False)

    def ready(self) -> None:
        """Work has begun. Only the first time is told."""
        if not self._ready:
            self._ready = True
            self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`, sent where it changed."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """A sign of life, sent as often as is asked for. To be called by the loop that could be stuck."""
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
    """Whoever started this process, as NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID tell.

    A name that begins with @ is one of the abstract namespace of unix(7).
    """
    address = variables.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return SystemdNotifier()
    name = f"\0{address[1:]}" if address.startswith("@") else address
    limit = variables.get("WATCHDOG_USEC", "")
    ours = variables.get("WATCHDOG_PID", "") in ("", str(pid or os.getpid()))
    return SystemdNotifier(name, int(limit) / 2_000_000 if ours and limit.isdigit() else 0.0)
