"""The examples that a property is tried with: the same ones in every run, so that only a change can make one fail.

With EXPLORE=10 it is tried with ten times as many, new ones each time: `make explore`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXPLORE = int(os.environ.get("EXPLORE", "0"))


def examples(number: int, *also: HealthCheck) -> settings:
    """Return the settings of a property that is tried with so many; without these of hypothesis' own checks, too."""
    return settings(
        max_examples=number * max(EXPLORE, 1),
        derandomize=not EXPLORE,
        deadline=None,  # a loaded machine is slow
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, *also],
    )


settings.register_profile("batchstatus", examples(100))
settings.load_profile("batchstatus")
