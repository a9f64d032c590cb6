"""The options of commands that deliver changes, and the deliveries that they make."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from batchstatus import ConfigurationError, KeyFile, KeySource
from batchstatus.cli.completion import listed
from batchstatus.cli.options import option
from batchstatus.cli.params import Duration, nearest
from batchstatus.service.store import KINDS, checked_kinds

if TYPE_CHECKING:  # completion needs no client
    from batchstatus.service import Change, Delivery

F = TypeVar("F", bound=Callable[..., Any])

STDOUT = "stdout"
"""The name of the destination -."""
SECRET = "BATCHSTATUS_DELIVER_SECRET"  # noqa: S105 (the name of its variable)
HEADER_FILE = "BATCHSTATUS_DELIVER_HEADER_FILE"


class Kinds(click.ParamType[tuple[str, ...]]):
    """`ended,lost`; a list in the configuration file."""

    name = "kinds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the kinds."""
        words = [str(word).strip() for word in (value if isinstance(value, (list, tuple)) else str(value).split(","))]
        try:
            return checked_kinds(words) or ()
        except ConfigurationError as error:
            near = next((found for word in words if word not in KINDS and (found := nearest(word, KINDS))), None)
            self.fail(f"{error}; {f'did you mean {near}?' if near else 'write ended,lost'}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 (click's)
        """Complete the last of the kinds."""
        return listed(KINDS, incomplete)


@frozen
class DeliveryOptions:
    """How a command delivers."""

    deliver_secret_file: str | None
    deliver_header_file: str | None
    deliver_timeout: float
    only: tuple[str, ...] | None
    allow_insecure: bool

    def takes(self, change: Change) -> bool:
        """Return whether a change is one of those asked for."""
        return self.only is None or change.kind in self.only

    def to(self, url: str) -> Delivery:
        """Return the delivery to a URL, or to stdout."""
        from batchstatus.service import to_stream  # noqa: PLC0415

        return to_stream(sys.stdout, only=self.only) if url == "-" else self.to_url(url)

    def to_url(self, url: str) -> Callable[[Change], Awaitable[object]]:
        """Return the delivery to a URL."""
        from batchstatus.service import to_url  # noqa: PLC0415

        headers = self.deliver_header_file and KeyFile(self.deliver_header_file, "--deliver-header-file")
        return to_url(
            url,
            self.deliver_timeout,
            secret=self._secret(),
            headers=headers or None,
            only=self.only,
            allow_insecure=self.allow_insecure,
        )

    def _secret(self) -> KeySource | None:
        """Return the source of the secrets: the file of the command line, the environment, the configuration's file."""
        inline = os.environ.get(SECRET)
        source = click.get_current_context().get_parameter_source("deliver_secret_file")
        if inline and self.deliver_secret_file and source is ParameterSource.ENVIRONMENT:
            raise ConfigurationError(f"both {SECRET} and {SECRET}_FILE are set; keep one of them")
        if inline and source is not ParameterSource.COMMANDLINE:
            from batchstatus.service.signing import SigningKeys  # noqa: PLC0415

            SigningKeys(inline).check(SECRET)
            return inline
        return KeyFile(self.deliver_secret_file, "--deliver-secret-file") if self.deliver_secret_file else None


def delivery_options(command: F) -> F:
    """Add the options of deliveries to a command, which gets them together as `delivering`."""

    @functools.wraps(command)
    def with_options(*arguments: Any, **options: Any) -> Any:
        mine = {field: options.pop(field) for field in DeliveryOptions.__annotations__}
        return command(*arguments, delivering=DeliveryOptions(**mine), **options)

    file = click.Path(dir_okay=False)
    wrapped: Any = with_options
    for add in (
        option("--allow-insecure", is_flag=True, help="Let a URL be http off loopback, too, in a test network."),
        option("--only", type=Kinds(), help="The kinds of changes, such as ended,lost; also change and found."),
        option("--deliver-timeout", type=Duration(), default="30s", show_default=True, help="For one attempt."),
        option("--deliver-header-file", type=file, envvar=HEADER_FILE,
               help=f"More headers, `Name: value` in each line, such as Authorization. {HEADER_FILE}."),
        option("--deliver-secret-file", type=file, envvar=f"{SECRET}_FILE",
               help=f"Sign each delivery with the secrets in its lines (Standard Webhooks). {SECRET}, {SECRET}_FILE."),
    ):  # fmt: skip
        wrapped = add(wrapped)
    return wrapped  # type: ignore[no-any-return]
