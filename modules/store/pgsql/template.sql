-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- What attempts of a subscription have in common of what they sent (rh_sent.h).

-- name: template_keep
-- Stores templates, or notes that they are in use. What was noted within a day is left alone. The
-- order is the same for all hosts, so that no two of them wait for each other.
INSERT INTO resthooks.sent_template AS s (tenant, id, text, seen_at)
 SELECT t.tenant, t.id, t.text, c.at FROM (SELECT resthooks.now_ms() AS at) AS c
 CROSS JOIN json_to_recordset(:templates::json) AS t(tenant text, id uuid, text text)
 WHERE NOT EXISTS (SELECT 1 FROM resthooks.sent_template k WHERE k.tenant = t.tenant
 AND k.id = t.id AND k.seen_at > c.at - 86400000) ORDER BY t.tenant COLLATE "C", t.id
 ON CONFLICT (tenant, id) DO UPDATE SET seen_at = greatest(s.seen_at, excluded.seen_at);

-- name: old_templates
-- Removes templates that are in no partition's rows: they have not been in use since a day before
-- the oldest began, and one day more, as their use is noted once a day.
DELETE FROM resthooks.sent_template WHERE (tenant, id) IN (SELECT s.tenant, s.id
 FROM resthooks.sent_template s WHERE s.seen_at < (SELECT min(coalesce(p.from_ms, 0))
 FROM resthooks.partitions p WHERE p.parent IN ('delivery', 'attempt')) - 172800000
 ORDER BY s.seen_at LIMIT :limit::integer FOR UPDATE SKIP LOCKED);
