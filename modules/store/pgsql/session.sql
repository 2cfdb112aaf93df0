-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Ask about a session. These run before anything is prepared.

-- fragment: server_clock
(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint;

-- name: session_get
-- Returns a session's process, "on" if it is read-only, its encoding, and the server's time.
-- returns: process, read_only, encoding, at
SELECT pg_catalog.pg_backend_pid() AS process,
 pg_catalog.current_setting('transaction_read_only') AS read_only,
 pg_catalog.current_setting('server_encoding') AS encoding, :server_clock AS at;

-- name: session_clock
-- returns: at
SELECT :server_clock AS at;
