-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- What statements of several topics share.

-- fragment: clock
-- Milliseconds since the epoch. PostgreSQL has resthooks.now_ms().
CAST((julianday('now') - 2440587.5) * 86400000 AS integer);
