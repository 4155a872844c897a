"""From the words on the shell to an exit code: one place where every error becomes a message.

Exit codes: 0 done; 2 the command, its options or the data are wrong; 1 anything else; 130 interrupted
(143 by SIGTERM); 141 the reader of our output went away.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from longspan.cli.output import ReaderGone, write_json
from longspan.core.errors import DataError, InputError, Interrupted, LongspanError
from longspan.core.wording import entered_by

__all__ = ["main", "run"]


def main() -> None:
    """The entry point ``longspan``."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Carry out one command line, without the program's name, and give its exit code."""
    try:
        with entered_by("shell"), _notes_on_stderr(quiet="--quiet" in words):
            code = _invoke(list(words))
        sys.stdout.flush()
    except (BrokenPipeError, ReaderGone):
        code = _reader_gone()
    except SystemExit as stop:  # so the command-line library ends a completion
        code = stop.code if isinstance(stop.code, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        code = _report(error, as_json="--json" in words, debug="--debug" in words)
    return code


@contextlib.contextmanager
def _notes_on_stderr(*, quiet: bool) -> Iterator[None]:
    """What the package notes while it works, a line each; only warnings where ``quiet``."""
    logger, handler = logging.getLogger("longspan"), logging.StreamHandler(sys.stderr)
    before = logger.level
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _invoke(words: list[str]) -> int:
    from typer.main import get_command

    from longspan.cli.app import build

    result = get_command(build(("longspan", *words)))(words, prog_name="longspan", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _reader_gone() -> int:
    """``longspan … | head``: nothing to say, and Python's own flush at exit must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    code, message = _judge(error)
    if debug and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)
    if message:
        sys.stderr.write(message.rstrip() + "\n")
    if as_json:
        try:
            write_json({"error": _record(error, message, code)})
        except ReaderGone:
            return _reader_gone()
    return code


def _judge(error: BaseException) -> tuple[int, str]:
    """Exit code and message of an error."""
    name = type(error).__name__
    if isinstance(error, Interrupted):
        return 128 + error.signal, str(error)
    if isinstance(error, KeyboardInterrupt) or name == "Abort":
        return 130, "Interrupted."
    if isinstance(error, LongspanError):
        return (2 if isinstance(error, InputError | DataError) else 1), str(error)
    if name == "NoArgsIsHelpError":
        return 2, error.format_message()  # type: ignore[attr-defined]
    if hasattr(error, "format_message"):  # what the command-line library found wrong with the words
        return 2, _usage_text(error)
    if isinstance(error, MemoryError):
        return 1, "Out of memory. Pass a smaller batch or context, or use a machine with more memory."
    return 1, (
        f"longspan failed in a way it should not. {name}: {error}\n"
        "Run it again with --debug and report what it shows: see 'Reporting a fault' in CONTRIBUTING.md."
    )


def _usage_text(error: Any) -> str:
    context = getattr(error, "ctx", None)
    place = context.command_path if context else "longspan"
    text = _missing_text(error) or _unknown_text(error) or error.format_message()
    return f"{place}: {text}\nTry '{place} --help'."


def _missing_text(error: Any) -> str | None:
    """A required argument or option that is absent, with what it is for."""
    parameter = getattr(error, "param", None)
    if type(error).__name__ != "MissingParameter" or parameter is None:
        return None
    name = next((word for word in parameter.opts if word.startswith("--")), str(parameter.name).upper())
    return f"{name} is missing: {str(parameter.help or '').replace(chr(92) + '[', '[')}"


def _unknown_text(error: Any) -> str | None:
    """An option that there is not, with the nearest that there is."""
    if type(error).__name__ != "NoSuchOption":
        return None
    near = [word for word in error.possibilities or () if word.startswith("--")]
    return f"no option {error.option_name}." + (f" Did you mean {' or '.join(near)}?" if near else "")


def _record(error: BaseException, message: str, code: int) -> dict[str, Any]:
    record: dict[str, Any] = {"type": type(error).__name__, "message": message, "exit_code": code}
    if isinstance(error, DataError):
        record |= {"source": error.source, "row": error.row, "column": error.column}
    return record
