-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- Keep the templates of requests: the text that the attempts of a subscription share (rh_sent.h).

-- name: template_keep
-- Stores templates, or updates the time of their last use unless that was noted within a day.
INSERT INTO resthooks_sent_template AS s (tenant, id, text, seen_at)
 SELECT value ->> 'tenant', value ->> 'id', value ->> 'text', :clock FROM json_each(:templates)
 WHERE true ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at
 WHERE s.seen_at <= excluded.seen_at - 86400000;

-- name: old_templates
-- Removes templates that no attempt within the retention used, with a margin of two days, because
-- use is noted only once per day.
DELETE FROM resthooks_sent_template WHERE (tenant, id) IN (SELECT s.tenant, s.id
 FROM resthooks_sent_template s
 WHERE s.seen_at < :clock - CAST(:retention AS integer) - 172800000
 ORDER BY s.seen_at LIMIT CAST(:limit AS integer));
