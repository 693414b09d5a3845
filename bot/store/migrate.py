"""Brings a database to the newest schema."""

from importlib import resources

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from bot.store.port import StoreError


def migrate(connection: Connection, name: str) -> None:
    """Runs the steps that are missing, within the connection's transaction; `name` is for errors.

    Raises:
        StoreError: the database is a newer version's, or another program's.
    """
    with resources.as_file(resources.files("bot.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        _check(connection, script, name)
        command.upgrade(config, "head")


def _check(connection: Connection, script: ScriptDirectory, name: str) -> None:
    known = {step.revision for step in script.walk_revisions()}
    present = set(MigrationContext.configure(connection).get_current_heads())
    if None in present:  # the library does not expect it, and says so nowhere
        raise StoreError(
            f"The database {name} does not say which schema it has: the row of its table"
            " alembic_version is empty; put back a copy of the database"
        )
    if present - known:
        raise StoreError(
            f"The database {name} has schema {', '.join(sorted(present))}, this program knows up to"
            f" {script.get_current_head()}: a newer fundingbot wrote it; install that version,"
            " or put back an older copy of the database"
        )
    if not present and inspect(connection).get_table_names():
        raise StoreError(
            f"The database {name} holds the tables of another program; set DATABASE_URL to a file"
            " of this one's own"
        )
