"""`batchstatus simulate`: both vendors on loopback, with batches that move."""

from __future__ import annotations

import time

import click

from batchstatus.cli.context import SESSION
from batchstatus.cli.options import options
from batchstatus.cli.output import emit, note
from batchstatus.cli.params import Span
from batchstatus.cli.signals import code_of_signal


@click.command("simulate")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Where to listen on 127.0.0.1; default: a free port."
)
@click.option("--batches", type=click.IntRange(1, 10_000), default=12, show_default=True, help="How many there are.")
@click.option("--seconds", type=Span(), default="40s", show_default=True, help="How long the slowest of them takes.")
@options
def command(*, port: int, batches: int, seconds: float) -> int:
    """Serve both vendors' APIs on loopback, with batches that move, until it is interrupted.

    It prints what another shell needs to use it, and the refs of its batches.
    """
    try:
        from batchstatus.testing.simulator import Simulator  # noqa: PLC0415
        from batchstatus.testing.simulator.samples import add_samples  # noqa: PLC0415
    except ImportError as error:
        raise click.UsageError(str(error)) from None

    simulator = Simulator()
    try:
        simulator.start(port)
    except OSError as error:
        raise click.UsageError(f"port {port} of 127.0.0.1 cannot be had: {error.strerror}") from None
    try:
        environment = simulator.environment()
        refs = [str(ref) for ref in add_samples(simulator, batches, seconds)]
        if SESSION.format == "table":
            for name, value in environment.items():
                click.echo(f"export {name}={value}")
            click.echo(f"batchstatus watch {' '.join(refs)}")
        elif SESSION.format == "id":
            click.echo("\n".join(refs))
        else:
            emit(url=simulator.url, environment=environment, refs=refs)
        note(f"both vendors at {simulator.url}; Ctrl-C ends it")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt as error:
        return code_of_signal(error)
    finally:
        simulator.stop()
