-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Open the database, and begin and end transactions that write. The driver recognises a busy database
-- only in prepared statements.

-- name: database_file
-- Returns the path of the database; it is empty for one in memory.
-- returns: file
SELECT file FROM pragma_database_list WHERE name = 'main';

-- name: begin_writing
BEGIN IMMEDIATE;

-- name: end_writing
COMMIT;
