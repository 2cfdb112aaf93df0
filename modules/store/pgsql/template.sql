-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Keep the templates of requests: the text that the attempts of a subscription share (rh_sent.h).

-- name: template_keep
-- Stores templates, or updates the time of their last use unless that was noted within a day. All
-- hosts take the rows in the same order, so they do not deadlock.
INSERT INTO resthooks.sent_template AS s (tenant, id, text, seen_at)
 SELECT t.tenant, t.id, t.text, c.at FROM (SELECT resthooks.now_ms() AS at) AS c
 CROSS JOIN json_to_recordset(:templates::json) AS t(tenant text, id uuid, text text)
 WHERE NOT EXISTS (SELECT 1 FROM resthooks.sent_template k WHERE k.tenant = t.tenant
 AND k.id = t.id AND k.seen_at > c.at - 86400000 OFFSET 0) ORDER BY t.tenant COLLATE "C", t.id
 ON CONFLICT (tenant, id) DO UPDATE SET seen_at = greatest(s.seen_at, excluded.seen_at);

-- name: old_templates
-- Removes templates to which no partition's rows can refer: those not used since two days before
-- the oldest partition began. One day is margin, and one is needed because use is noted once per
-- day.
DELETE FROM resthooks.sent_template WHERE ctid = ANY (ARRAY(SELECT s.ctid
 FROM resthooks.sent_template s WHERE s.seen_at < (SELECT min(coalesce(p.from_ms, 0))
 FROM resthooks.partitions p WHERE p.parent IN ('delivery', 'attempt')) - 172800000
 ORDER BY s.seen_at LIMIT :limit::integer FOR UPDATE SKIP LOCKED));
