"""The `sagsbro` command: a table of names; the module of a command is imported only when the command is called."""

from importlib import import_module
from importlib.util import find_spec

import click

COMMANDS = {
    "demo": "demo",
    "up": "up",
    "setup": "setup",
    "api": "api",
    "worker": "worker",
    "publisher": "publisher",
    "connector": "connector",
    "token": "token",
    "agreement": "agreement",
    "authority": "authority",
    "citizen-view": "citizen_view",
    "coverage": "coverage",
    "kle": "kle",
    "load": "load",
    "compliance": "compliance",
    "policy": "policy",
    "consent": "consent",
    "rejections": "rejections",
    "explain": "explain",
    "trace": "trace",
    "dossier": "dossier",
    "reconcile": "reconcile",
    "rederive": "rederive",
    "positions": "positions",
    "verify": "verify",
    "certificates": "certificates",
    "schemas": "schemas",
    "bench": "bench",
}
"""Command -> module of this package, which has a click command (or group) of the command's name."""


class Commands(click.Group):
    """A group whose members are imported one by one, so that each starts as fast as it can."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return those that exist, in the order of the table."""
        del ctx
        return [name for name, module in COMMANDS.items() if find_spec(f"{__name__}.{module}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one that is asked for."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"{__name__}.{COMMANDS[cmd_name]}")
        command = getattr(module, "command", None) or getattr(module, cmd_name, None)
        return command if isinstance(command, click.Command) else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sagsbro")
def main() -> None:
    """Sagsbro: the bridge between case systems and the citizens' overviews."""
