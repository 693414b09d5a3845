"""What Alembic runs: the pending steps, on the connection and in the transaction given to it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
