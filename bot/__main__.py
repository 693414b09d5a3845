"""`python -m bot` is the same program as `fundingbot`."""

from bot.cli import main

main()
