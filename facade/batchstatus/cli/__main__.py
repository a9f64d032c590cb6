"""`python -m batchstatus.cli`."""

from . import main

main()
