"""fundingbot: one message when it becomes true, one when it is over."""

__version__ = "0.1.0"
