"""`python -m bike_assets` is `bike`."""

from bike_assets.cli import main

main()
