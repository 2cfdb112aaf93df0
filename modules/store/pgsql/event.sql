-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Read the log of events.

-- name: event_get
-- returns: id, tenant, type, key, client_id, traceparent, time, source, data, data_bytes, previous,
--   reason, hops
SELECT e.id, e.tenant, e.type, e.key, e.client_id, e.traceparent, e.time, e.source, e.data,
 octet_length(e.data) AS data_bytes, e.previous, e.reason, e.hops
 FROM resthooks.event e WHERE e.tenant = :tenant AND e.id = :id::uuid;

-- fragment: event_page
-- A page of large events would need much memory, so lists contain only the beginning of the data.
SELECT e.id, e.tenant, e.type, e.key, e.client_id, e.traceparent, e.time, e.source,
 CASE WHEN octet_length(e.data) <= :RH_EVENT_PREVIEW THEN e.data
  ELSE substr(e.data, 1, :RH_EVENT_PREVIEW) END AS data,
 octet_length(e.data) AS data_bytes,
 CASE WHEN octet_length(e.previous) <= :RH_EVENT_PREVIEW THEN e.previous END AS previous,
 e.reason, e.hops
 FROM resthooks.event e
 WHERE e.tenant = :tenant AND e.id >= :lowest::uuid AND e.id < :end::uuid;

-- name: event_list
-- returns: as event_get
:event_page ORDER BY e.id DESC LIMIT CAST(:limit AS integer);

-- name: event_list_type
-- returns: as event_get
:event_page AND e.type = :type ORDER BY e.id DESC LIMIT CAST(:limit AS integer);

-- fragment: event_filter
-- A condition whose parameter is NULL is true.
:event_search AND (:unmatched IS NULL OR (
  NOT EXISTS (SELECT 1 FROM resthooks.queue q WHERE :queue_of_event OFFSET 0)
  AND NOT EXISTS (SELECT 1 FROM resthooks.delivery d WHERE d.tenant = e.tenant
  AND d.event_id = e.id OFFSET 0)));

-- name: event_list_filtered
-- The range of ids bounds what is read.
-- returns: as event_get
:event_page AND :event_filter ORDER BY e.id DESC LIMIT CAST(:limit AS integer);

-- name: event_list_type_filtered
-- returns: as event_get
:event_page AND e.type = :type AND :event_filter ORDER BY e.id DESC LIMIT CAST(:limit AS integer);

-- fragment: event_sizes
-- A search for a text reads the events' data, so a page is bounded by the size of the data as well.
SELECT e.id, row_number() OVER newest AS place,
 sum(CASE WHEN :text IS NULL THEN 0 ELSE octet_length(e.data) END) OVER newest AS bytes
 FROM resthooks.event e WHERE e.tenant = :tenant AND e.id >= :lowest::uuid AND e.id < :end::uuid;

-- fragment: event_stop_among
WINDOW newest AS (ORDER BY e.id DESC ROWS UNBOUNDED PRECEDING)
 ORDER BY e.id DESC LIMIT CAST(:rows AS integer) + 1) AS s
 WHERE s.place > CAST(:rows AS integer) OR s.bytes > CAST(:bytes AS bigint)
 ORDER BY s.id DESC LIMIT 1;

-- name: event_stop
-- Returns the id at which a page must end if no index finds its rows directly: `rows` rows, or
-- `bytes` bytes of data, below the end of its range. Returns no row if the range has less.
-- returns: id
SELECT s.id FROM (:event_sizes :event_stop_among;

-- name: event_stop_type
-- returns: as event_stop
SELECT s.id FROM (:event_sizes AND e.type = :type :event_stop_among;
