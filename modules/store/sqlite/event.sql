-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- The log of events.

-- name: event_get
-- returns: id, tenant, type, key, client_id, traceparent, time, source, data, data_bytes, previous,
--   reason, hops
SELECT e.id, e.tenant, e.type, e.key, e.client_id, e.traceparent, e.time, e.source, e.data,
 length(CAST(e.data AS blob)) AS data_bytes, e.previous, e.reason, e.hops
 FROM resthooks_event e WHERE e.tenant = :tenant AND e.id = :id;

-- fragment: event_page
-- A page of large events would take much memory, so lists contain only their beginning.
SELECT e.id, e.tenant, e.type, e.key, e.client_id, e.traceparent, e.time, e.source,
 CASE WHEN length(CAST(e.data AS blob)) <= :RH_EVENT_PREVIEW THEN e.data
  ELSE substr(e.data, 1, :RH_EVENT_PREVIEW) END AS data,
 length(CAST(e.data AS blob)) AS data_bytes,
 CASE WHEN length(CAST(e.previous AS blob)) <= :RH_EVENT_PREVIEW THEN e.previous END AS previous,
 e.reason, e.hops
 FROM resthooks_event e
 WHERE e.tenant = :tenant AND e.id >= :lowest AND e.id < :end;

-- name: event_list
-- returns: as event_get
:event_page ORDER BY e.id DESC LIMIT CAST(:limit AS integer);

-- name: event_list_type
-- returns: as event_get
:event_page AND e.type = :type ORDER BY e.id DESC LIMIT CAST(:limit AS integer);

-- name: event_list_filtered
-- Each condition holds where its parameter is NULL. The span of ids bounds what is read.
-- returns: as event_get
:event_page AND (:type IS NULL OR e.type = :type)
 AND (:unmatched IS NULL OR (NOT EXISTS (SELECT 1 FROM resthooks_delivery d
  WHERE d.tenant = e.tenant AND d.event_id = e.id)
  AND NOT EXISTS (SELECT 1 FROM resthooks_queue q WHERE :queue_of_event)))
 AND :event_search
 ORDER BY e.id DESC LIMIT CAST(:limit AS integer);
