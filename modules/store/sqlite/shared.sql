-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Fragments that statements of several files share.

-- fragment: clock
-- The current time in milliseconds since the epoch, as resthooks.now_ms() on PostgreSQL.
CAST((julianday('now') - 2440587.5) * 86400000 AS integer);
