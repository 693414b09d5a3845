"""One file per step of the schema, oldest first; a step is never edited once it was released."""
