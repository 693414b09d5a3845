"""What a check of the doctor finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; a failure's text says what to do."""

    ok: bool
    text: str
