-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Transactions that write. The driver recognises a busy database in prepared statements only.

-- name: begin_writing
BEGIN IMMEDIATE;

-- name: end_writing
COMMIT;
