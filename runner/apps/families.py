"""Every family of plugins, for who looks at all of them."""

from runner.core.plugins import Family, Plugin
from runner.harnesses import HARNESSES
from runner.publish.forges import FORGES
from runner.publish.outputs import OUTPUTS
from runner.sandboxes import SANDBOXES
from runner.triggers import TRIGGERS
from runner.triggers.sources import SOURCES

FAMILIES: tuple[Family[Plugin], ...] = (HARNESSES, SANDBOXES, TRIGGERS, SOURCES, OUTPUTS, FORGES)


def check_families() -> None:
    """Load every family. Raises PluginError for the first plugin that cannot be used."""
    for family in FAMILIES:
        family.all()
