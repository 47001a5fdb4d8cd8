"""`python -m falx.cli`, where no script is installed."""

from falx.cli import main

main()
