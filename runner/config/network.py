"""The hosts that a sandbox may reach besides its model: exact names, and ecosystems by name. Pure.

The hosts are those that each ecosystem's own documentation tells people to allow.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.config.documents import closest

ECOSYSTEMS: Mapping[str, tuple[str, ...]] = {
    "alpine": ("dl-cdn.alpinelinux.org",),
    "crates": ("crates.io", "index.crates.io", "static.crates.io"),
    "debian": ("deb.debian.org", "security.debian.org"),
    "github-read": ("codeload.github.com", "raw.githubusercontent.com"),
    "go": ("proxy.golang.org", "sum.golang.org"),
    "maven": ("repo.maven.apache.org", "repo1.maven.org"),
    "npm": ("registry.npmjs.org",),
    "nuget": ("api.nuget.org",),
    "packagist": ("packagist.org", "repo.packagist.org"),
    "pypi": ("files.pythonhosted.org", "pypi.org"),
    "rubygems": ("index.rubygems.org", "rubygems.org"),
    "ubuntu": ("archive.ubuntu.com", "ports.ubuntu.com", "security.ubuntu.com"),
}

PROVIDER_USES: Mapping[str, str] = {
    "web_search": "searches the web",
    "web_fetch": "fetches the pages that the agent names",
    "urls": "fetches pictures and documents by their addresses",
    "mcp": "speaks with MCP servers",
    "code": "runs code in containers of its own",
    "images": "makes pictures",
    "stored": "reads what is stored with it: files, answers, conversations, prompts, caches",
}
"""What a model's provider can do for an agent besides answering; `network.provider` allows it by name."""

REPOSITORIES: Mapping[str, tuple[str, ...]] = {"github-read": ("github.com",)}
"""The forges whose repositories git may read through the gateway (egress/git.py), by ecosystem."""

FORGES = (
    "api.github.com",
    "gist.github.com",
    "github.com",
    "uploads.github.com",
    "gitlab.com",
    "bitbucket.org",
)
"""Hosts that anybody with an account can write to: inside TLS the gateway cannot tell reads from writes."""

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?")
PATTERN = f"^(?!({'|'.join(map(re.escape, FORGES))})$)({'|'.join(ECOSYSTEMS)}|{_HOST.pattern})$"
"""The JSON schema's pattern of an entry of `network.allow`; `check_allow_entry` explains it in words."""

_PORTS = {"https": 443, "http": 80}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_allow_entry(entry: str) -> str:
    """Return a valid entry of `network.allow`. Raises ValueError that says what is wrong with another."""
    if entry in FORGES:
        raise ValueError(f"{entry} lets everybody write who has an account; `github-read` only reads")
    if entry not in ECOSYSTEMS and "." not in entry:
        raise ValueError(f"there is no ecosystem {entry}; {closest(entry, list(ECOSYSTEMS))}")
    if entry not in ECOSYSTEMS and not _HOST.fullmatch(entry):
        raise ValueError(f"{entry} is not the exact name of a host, such as api.example.com")
    return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRules:
    """The hosts that one run may reach. The addresses of hosts in `private` need not be public."""

    hosts: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    repositories: frozenset[str] = frozenset()  # forges from which git may read

    def refusal(self, host: str, port: int, scheme: str) -> str:
        """Why a connection is refused; empty: it is allowed if the address is public."""
        if not _HOST.fullmatch(host):
            return "it is no host's exact name"
        if host not in self.hosts:
            return "it is not in `environment.network.allow`"
        if port != _PORTS[scheme] and host not in self.private:
            return f"only port {_PORTS[scheme]} is let through for {scheme}"
        return ""

    def address_refusal(self, host: str, addresses: Iterable[str]) -> str:
        """Why a connection to a host's addresses is refused; empty: it is allowed."""
        if host in self.private:
            return ""
        inside = next((one for one in addresses if not is_public(ipaddress.ip_address(one))), None)
        return f"its address {inside} is not on the public internet" if inside else ""


def network_rules(allow: Iterable[str], private: Iterable[str] = ()) -> NetworkRules:
    """The rules for the entries of a skill's `network.allow` and the configuration's private hosts."""
    named = tuple(allow)
    return NetworkRules(
        hosts=frozenset(host for entry in named for host in ECOSYSTEMS.get(entry, (entry,))),
        private=frozenset(private),
        repositories=frozenset(host for entry in named for host in REPOSITORIES.get(entry, ())),
    )


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, also where IPv6 wraps one of IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if wrapped is not None or address.is_site_local:
            return False
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.88.99.0/24",  # relays of 6to4, withdrawn: RFC 7526
        "64:ff9b:1::/48",  # NAT64 of a local network: RFC 8215
        "::ffff:0:0:0/96",  # IPv4 translated: RFC 2765
        "100:0:0:1::/64",  # dummy prefix: RFC 9780
        "3fff::/20",  # documentation: RFC 9637
        "5f00::/16",  # segment routing inside a network: RFC 9602
    )
)
"""What Python's `is_global` takes for public, or took before 3.13, and does not lead to a public host."""
