"""`batchstatus simulate`: the vendors on loopback, with batches that move."""

from __future__ import annotations

import time

import click

from batchstatus.cli import in_checkout
from batchstatus.cli.context import Context
from batchstatus.cli.help import Command
from batchstatus.cli.options import global_options, option
from batchstatus.cli.params import Duration
from batchstatus.cli.signals import code_of_signal


@click.command(
    "simulate",
    cls=Command,
    examples=("simulate -o table", "simulate --port 8080 --batches 100 --seconds 5m"),
)
@option("--port", type=click.IntRange(0, 65535), default=0, help="Where to listen on 127.0.0.1; default: a free port.")
@option("--batches", type=click.IntRange(1, 10_000), default=12, show_default=True, help="How many there are.")
@option("--seconds", type=Duration(), default="40s", show_default=True, help="How long the slowest of them takes.")
@global_options
@click.pass_obj
def command(context: Context, *, port: int, batches: int, seconds: float) -> int:
    """Serve the vendors' APIs on loopback, with batches that move, until it is interrupted.

    It prints what another shell needs to use it, and the refs of its batches.
    """
    try:
        from batchstatus.testing.simulator import Simulator  # noqa: PLC0415
        from batchstatus.testing.simulator.samples import add_samples  # noqa: PLC0415
    except ImportError as error:
        raise click.UsageError(f"{error}. {in_checkout('simulator')}") from None

    simulator = Simulator()
    try:
        simulator.start(port)
    except OSError as error:
        raise click.UsageError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from None
    try:
        environment = simulator.environment()
        refs = [str(ref) for ref in add_samples(simulator, batches, seconds)]
        if context.output.format == "table":
            for name, value in environment.items():
                click.echo(f"export {name}={value}")
            click.echo(f"batchstatus watch {' '.join(refs)}")
        elif context.output.format == "id":
            click.echo("\n".join(refs))
        else:
            context.output.print_json(url=simulator.url, environment=environment, refs=refs)
        context.output.info(f"{', '.join(simulator.vendors)} at {simulator.url}; Ctrl-C ends it")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt as error:
        return code_of_signal(error)
    finally:
        simulator.stop()
