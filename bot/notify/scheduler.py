"""What happens every so often. It only calls: the truth about what is due is in the database."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.store.port import StoreError

_LOG = logging.getLogger(__name__)
Job = Callable[[], Awaitable[object]]


class Scheduler:
    """Jobs at fixed intervals.

    One that is late runs once, one that still runs is not started again, one that fails is
    logged and goes on.
    """

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone="UTC",
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        # A job that outlasts its interval is not news; the next one follows.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)

    def add(self, name: str, seconds: float, job: Job) -> None:
        """Calls `job` every so many seconds, first after so many."""
        self._scheduler.add_job(
            _guarded, "interval", (name, job), seconds=seconds, id=name, name=name
        )

    def start(self) -> None:
        """Starts in the running event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """No job starts any more; those that run are cancelled."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)


async def _guarded(name: str, job: Job) -> None:
    try:
        await job()
    except asyncio.CancelledError:
        return  # only `stop` cancels; the library would log it as an error, with its traceback
    except StoreError as error:  # known, and told by who records decisions
        _LOG.warning("a scheduled job failed; it runs again at its next time: %s: %s", name, error)
    except Exception:  # noqa: BLE001 - whatever a job raises, the others and its next time go on
        _LOG.exception("a scheduled job failed; it runs again at its next time: %s", name)
