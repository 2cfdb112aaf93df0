-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Begin and end transactions that write. The driver recognises a busy database only in prepared
-- statements.

-- name: begin_writing
BEGIN IMMEDIATE;

-- name: end_writing
COMMIT;
