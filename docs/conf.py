"""How Sphinx builds the documentation: ``make docs``."""

from __future__ import annotations

import re
from typing import Any

import typer

from longspan import __version__
from longspan.cli.app import build

project, author, release = "longspan", "the founders of longspan", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme, html_title = "furo", f"longspan {__version__}"
# Links into the sources are for readers of the repository; a test follows all of them.
suppress_warnings = ["myst.xref_missing"]

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "NDArray", "Array", "Index", "Mask")}
autodoc_default_options = {"members": True, "exclude-members": "__new__"}
napoleon_use_ivar = True

_WIDTH = 88  # columns of a help text
_COMMANDS = "<!-- the help of every command -->"


def _helps(command: Any, parent: Any, name: str) -> list[str]:
    """The help of a command and of those under it, as sections."""
    size = {"max_content_width": _WIDTH, "terminal_width": _WIDTH}
    with command.context_class(command, info_name=name, parent=parent, **size) as here:
        parts = [f"## {here.command_path}\n\n```text\n{_plain(command.get_help(here))}\n```\n"]
        if hasattr(command, "list_commands"):
            for each in command.list_commands(here):
                parts += _helps(command.commands[each], here, each)
    return parts


def _plain(text: str) -> str:
    return text.replace("\\[", "[").rstrip()


def _fill(*given: Any) -> None:
    """Put the help of every command where a page asks for it."""
    source: list[str] = given[-1]
    if _COMMANDS in source[0]:
        application = build()
        application.rich_markup_mode = None  # plain text, as in a pipe
        command = typer.main.get_command(application)
        source[0] = source[0].replace(_COMMANDS, "\n".join(_helps(command, None, "longspan")))


def _escape(*given: Any) -> None:
    """Sizes between bars, such as |y - f|, are no substitutions, and a size such as "H." is no list."""
    lines: list[str] = given[-1]
    for number, line in enumerate(lines):
        parts = re.split("(``.*?``)", re.sub(r"^(\s*\w+: )([A-Z]\.)$", r"\1\\\2", line))
        lines[number] = "".join(part if part.startswith("``") else part.replace("|", r"\|") for part in parts)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", _escape, priority=400)  # before napoleon reads it
