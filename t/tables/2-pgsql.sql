-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- The tables of version 2, without comments.
CREATE SCHEMA IF NOT EXISTS resthooks;
CREATE TABLE resthooks.schema_version (
    version      integer NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (version)
);
CREATE OR REPLACE FUNCTION resthooks.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;
CREATE OR REPLACE FUNCTION resthooks.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE AS
$$ SELECT (overlay(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint
                               * 512 / 125), 15, '0') PLACING '7' FROM 13 FOR 0)
           || right(gen_random_uuid()::text, 17))::uuid $$;
CREATE OR REPLACE FUNCTION resthooks.uuid_floor(ms bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT rpad(lpad(to_hex(greatest(ms, 0)), 12, '0'), 32, '0')::uuid $$;
CREATE OR REPLACE FUNCTION resthooks.uuid_ms(id uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT ('x' || left(id::text, 8) || substr(id::text, 10, 4))::bit(48)::bigint $$;
CREATE OR REPLACE FUNCTION resthooks.patterns(type text) RETURNS text[] LANGUAGE sql IMMUTABLE AS
$$ SELECT ARRAY[type, '*'] || ARRAY(
       SELECT array_to_string((string_to_array(type, '.'))[1:n], '.') || '.*'
       FROM generate_series(1, cardinality(string_to_array(type, '.')) - 1) AS n) $$;
CREATE TABLE resthooks.subscription (
    tenant           text COLLATE "C" NOT NULL,
    id               uuid NOT NULL,
    target_url       text NOT NULL,
    description      text NOT NULL DEFAULT '',
    format           text NOT NULL DEFAULT 'array'
                     CHECK (format IN ('array', 'envelope', 'cloudevents', 'skinny')),
    headers          text NOT NULL DEFAULT '{}',
    ordered          boolean NOT NULL DEFAULT false,
    rate_limit       integer NOT NULL DEFAULT 0,
    state            text NOT NULL DEFAULT 'active'
                     CHECK (state IN ('active', 'paused', 'gone', 'disabled', 'pending')),
    state_reason     text,
    secret           text NOT NULL,
    old_secret       text,
    old_secret_until bigint NOT NULL DEFAULT 0,
    base_url         text NOT NULL,
    created_at       bigint NOT NULL,
    updated_at       bigint NOT NULL,
    revision         bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant, id)
);
CREATE TABLE resthooks.subscription_event (
    tenant          text COLLATE "C" NOT NULL,
    pattern         text COLLATE "C" NOT NULL,
    subscription_id uuid NOT NULL,
    position        integer NOT NULL,
    PRIMARY KEY (tenant, pattern, subscription_id),
    FOREIGN KEY (tenant, subscription_id)
        REFERENCES resthooks.subscription (tenant, id) ON DELETE CASCADE
);
CREATE INDEX ON resthooks.subscription_event (tenant, subscription_id);
CREATE TABLE resthooks.subscription_stat (
    tenant           text COLLATE "C" NOT NULL,
    subscription_id  uuid NOT NULL,
    delivered        bigint NOT NULL DEFAULT 0,
    failed           bigint NOT NULL DEFAULT 0,
    last_status_code integer NOT NULL DEFAULT 0,
    last_attempt_at  bigint NOT NULL DEFAULT 0,
    failing_since    bigint,
    paused_until     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, subscription_id),
    FOREIGN KEY (tenant, subscription_id)
        REFERENCES resthooks.subscription (tenant, id) ON DELETE CASCADE
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE resthooks.event (
    tenant      text COLLATE "C" NOT NULL,
    id          uuid NOT NULL,
    type        text COLLATE "C" NOT NULL,
    key         text,
    client_id   text,
    traceparent text,
    time        bigint NOT NULL,
    source      text NOT NULL,
    data        text NOT NULL,
    PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
CREATE INDEX ON resthooks.event (tenant, type, id);
CREATE TABLE resthooks.delivery (
    tenant           text COLLATE "C" NOT NULL,
    id               uuid NOT NULL,
    event_id         uuid NOT NULL,
    subscription_id  uuid NOT NULL,
    type             text COLLATE "C" NOT NULL,
    state            text NOT NULL DEFAULT 'pending'
                     CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
    attempt_count    integer NOT NULL DEFAULT 0,
    last_status_code integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
CREATE INDEX ON resthooks.delivery (tenant, subscription_id, id);
CREATE INDEX ON resthooks.delivery (tenant, event_id);
CREATE TABLE resthooks.attempt (
    tenant      text COLLATE "C" NOT NULL,
    id          uuid NOT NULL,
    delivery_id uuid NOT NULL,
    number      integer NOT NULL,
    started_at  bigint NOT NULL,
    ms          bigint NOT NULL,
    status_code integer NOT NULL,
    format      text,
    headers     text,
    answer      text,
    error       text,
    PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
CREATE INDEX ON resthooks.attempt (tenant, delivery_id);
CREATE TABLE resthooks.partitioning (
    one_row       boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    retention_ms  bigint NOT NULL,
    covered_until bigint NOT NULL
);
INSERT INTO resthooks.partitioning (retention_ms, covered_until) VALUES (36000000, 0);
CREATE TABLE resthooks.queue (
    tenant          text COLLATE "C" NOT NULL,
    delivery_id     uuid NOT NULL,
    subscription_id uuid NOT NULL,
    event_id        uuid NOT NULL,
    due_at          bigint NOT NULL,
    lease           bigint NOT NULL DEFAULT 0,
    tries           integer NOT NULL DEFAULT 0,
    attempt_count   integer NOT NULL DEFAULT 0,
    order_key       text COLLATE "C",
    PRIMARY KEY (delivery_id, tenant)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 5000,
        vacuum_truncate = false);
CREATE INDEX queue_due ON resthooks.queue (tenant, subscription_id, due_at)
    WHERE subscription_id IS NOT NULL;
CREATE INDEX queue_due_at ON resthooks.queue (due_at) WHERE lease >= -1;
CREATE INDEX ON resthooks.queue (tenant, subscription_id, order_key, event_id, delivery_id)
    WHERE order_key IS NOT NULL;
CREATE INDEX ON resthooks.queue (tenant, subscription_id, order_key)
    WHERE order_key IS NOT NULL AND lease > 0;
CREATE TABLE resthooks.idempotency (
    tenant     text COLLATE "C" NOT NULL,
    client_id  text COLLATE "C" NOT NULL,
    event_id   uuid NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant, client_id)
);
CREATE INDEX ON resthooks.idempotency (created_at);
CREATE OR REPLACE FUNCTION resthooks.claim_ordered(
    for_tenant text, for_subscription uuid, spare boolean, new_lease bigint, lease_for bigint,
    most integer)
RETURNS TABLE (delivery_id uuid, event_id uuid, tries integer, attempt_count integer)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    at bigint;
    due record;
    first record;
    blocked boolean;
    taken integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(for_tenant, 1)
                                     # hashtextextended(for_subscription::text, 2)) THEN
        RETURN;
    END IF;
    at := resthooks.now_ms();
    FOR due IN
        SELECT q.* FROM resthooks.queue q
        WHERE q.tenant = for_tenant AND q.subscription_id = for_subscription AND q.due_at <= at
          AND (NOT spare OR q.lease <= 0)
        ORDER BY q.due_at LIMIT most * 4 FOR UPDATE SKIP LOCKED
    LOOP
        EXIT WHEN taken >= most;
        blocked := false;
        IF due.order_key IS NOT NULL THEN
            FOR delivery_id IN
                (SELECT f.delivery_id FROM resthooks.queue f
                 WHERE f.tenant = for_tenant AND f.subscription_id = for_subscription
                   AND f.order_key = due.order_key
                 ORDER BY f.event_id, f.delivery_id LIMIT 1)
                UNION ALL
                (SELECT w.delivery_id FROM resthooks.queue w
                 WHERE w.tenant = for_tenant AND w.subscription_id = for_subscription
                   AND w.order_key = due.order_key AND w.lease > 0
                   AND (spare OR w.due_at > at) LIMIT 1)
            LOOP
                CONTINUE WHEN delivery_id = due.delivery_id;
                blocked := true;
                PERFORM FROM resthooks.queue b
                WHERE b.tenant = for_tenant AND b.delivery_id = claim_ordered.delivery_id
                  AND ((b.event_id, b.delivery_id) < (due.event_id, due.delivery_id)
                       OR b.lease > 0)
                FOR UPDATE SKIP LOCKED;
                IF FOUND THEN
                    UPDATE resthooks.queue q SET lease = -1, due_at = at + 600000
                    WHERE q.tenant = for_tenant AND q.delivery_id = due.delivery_id;
                    SELECT f.* INTO first FROM resthooks.queue f
                    WHERE f.tenant = for_tenant AND f.delivery_id = claim_ordered.delivery_id
                      AND f.lease = -1 AND NOT EXISTS (
                        SELECT 1 FROM resthooks.queue w
                        WHERE w.tenant = for_tenant AND w.subscription_id = for_subscription
                          AND w.order_key = due.order_key AND w.lease > 0
                          AND (spare OR w.due_at > at));
                    IF FOUND THEN
                        due := first;
                        blocked := false;
                    END IF;
                END IF;
                EXIT;
            END LOOP;
        END IF;
        CONTINUE WHEN blocked;
        UPDATE resthooks.queue q SET lease = new_lease, due_at = at + lease_for
        WHERE q.tenant = for_tenant AND q.delivery_id = due.delivery_id;
        taken := taken + 1;
        delivery_id := due.delivery_id;
        event_id := due.event_id;
        tries := due.tries;
        attempt_count := due.attempt_count;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION resthooks.wake_ordered(for_tenant text, for_subscription uuid, for_key text)
RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE resthooks.queue q SET lease = 0, due_at = resthooks.now_ms()
    WHERE q.tenant = for_tenant AND q.lease = -1 AND q.delivery_id =
        (SELECT f.delivery_id FROM resthooks.queue f
         WHERE f.tenant = for_tenant AND f.subscription_id = for_subscription
           AND f.order_key = for_key
         ORDER BY f.event_id, f.delivery_id LIMIT 1);
    RETURN 1;
END $$;
CREATE OR REPLACE FUNCTION resthooks.ensure_partitions(retention_ms bigint, at_ms bigint DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    hour CONSTANT bigint := 3600000;
    day CONSTANT bigint := 86400000;
    retention bigint := coalesce(ensure_partitions.retention_ms,
                                 (SELECT p.retention_ms FROM resthooks.partitioning p));
    at bigint := coalesce(at_ms, resthooks.now_ms());
    width bigint := greatest(hour, retention / 10);
    log_name text;
    part_name text;
    lower_end text;
    last_end bigint;
    next_end bigint;
    made integer := 0;
BEGIN
    width := CASE WHEN width >= day THEN width / day * day ELSE width / hour * hour END;
    PERFORM pg_advisory_xact_lock(hashtextextended('resthooks.ensure_partitions', 0));
    FOREACH log_name IN ARRAY ARRAY['event', 'delivery', 'attempt'] LOOP
        SELECT max(p.until_ms) INTO last_end FROM resthooks.partitions p WHERE p.parent = log_name;
        WHILE last_end IS NULL OR last_end < at + 3 * width LOOP
            IF last_end IS NULL THEN
                part_name := log_name || '_past';
                lower_end := 'MINVALUE';
                next_end := at / width * width;
            ELSE
                part_name := log_name || '_'
                        || to_char(to_timestamp(last_end / 1000) AT TIME ZONE 'UTC', 'YYYYMMDDHH24');
                lower_end := quote_literal(resthooks.uuid_floor(last_end));
                next_end := CASE WHEN last_end < at - 12 * width THEN at / width * width
                                 ELSE (last_end / width + 1) * width END;
            END IF;
            EXECUTE format('CREATE TABLE resthooks.%I (LIKE resthooks.%I INCLUDING ALL) '
                           'WITH (fillfactor = %s)',
                           part_name, log_name, CASE log_name WHEN 'delivery' THEN 80 ELSE 100 END);
            EXECUTE format('ALTER TABLE resthooks.%I ATTACH PARTITION resthooks.%I '
                           'FOR VALUES FROM (%s) TO (%L)',
                           log_name, part_name, lower_end, resthooks.uuid_floor(next_end));
            last_end := next_end;
            made := made + 1;
        END LOOP;
    END LOOP;
    UPDATE resthooks.partitioning p SET retention_ms = retention, covered_until = last_end
    WHERE (p.retention_ms, p.covered_until) IS DISTINCT FROM (retention, last_end);
    RETURN made;
END $$;
CREATE OR REPLACE FUNCTION resthooks.ensure_past() RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    log record;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('resthooks.ensure_partitions', 0));
    FOR log IN SELECT p.parent, min(p.from_ms) AS first_ms FROM resthooks.partitions p
               GROUP BY p.parent HAVING bool_and(p.from_ms IS NOT NULL) LOOP
        EXECUTE format('CREATE TABLE resthooks.%I (LIKE resthooks.%I INCLUDING ALL)',
                       log.parent || '_past', log.parent);
        EXECUTE format('ALTER TABLE resthooks.%I ATTACH PARTITION resthooks.%I '
                       'FOR VALUES FROM (MINVALUE) TO (%L)',
                       log.parent, log.parent || '_past', resthooks.uuid_floor(log.first_ms));
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
CREATE OR REPLACE VIEW resthooks.partitions AS
SELECT p.relname::text AS parent, c.relname::text AS name,
       resthooks.uuid_ms(substring(pg_get_expr(c.relpartbound, c.oid)
                                   FROM 'TO \(''([0-9a-f-]{36})''\)')::uuid) AS until_ms,
       resthooks.uuid_ms(substring(pg_get_expr(c.relpartbound, c.oid)
                                   FROM 'FROM \(''([0-9a-f-]{36})''\)')::uuid) AS from_ms
FROM pg_inherits i
JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_namespace n ON n.oid = p.relnamespace
WHERE n.nspname = 'resthooks' AND p.relkind = 'p' AND c.relkind = 'r';
CREATE OR REPLACE FUNCTION resthooks.drop_partitions(retention_ms bigint, at_ms bigint DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    at bigint := coalesce(at_ms, resthooks.now_ms());
    old record;
    dropped integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('resthooks.ensure_partitions', 0)) THEN
        RETURN 0;
    END IF;
    FOR old IN SELECT p.name FROM resthooks.partitions p WHERE p.until_ms <= at - retention_ms LOOP
        BEGIN
            EXECUTE format('DROP TABLE resthooks.%I', old.name);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;
    RETURN dropped;
END $$;
SELECT resthooks.ensure_partitions(36000000);
CREATE OR REPLACE FUNCTION resthooks.publish(
    tenant text, type text, data text, key text DEFAULT NULL, id text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tree json;
    at bigint := resthooks.now_ms();
    event_key text := publish.key;
    new_id uuid := resthooks.uuidv7();
    first_id uuid;
BEGIN
    IF publish.tenant IS NULL OR octet_length(publish.tenant) NOT BETWEEN 1 AND 255
       OR publish.tenant ~ '[\x01-\x1f\x7f]' THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'resthooks.publish: tenant must have 1-255 bytes without control characters';
    END IF;
    IF publish.type IS NULL OR octet_length(publish.type) > 128
       OR publish.type !~ '^[a-z0-9_]+(\.[a-z0-9_]+)+$' THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'resthooks.publish: type must be an event type such as employee.created';
    END IF;
    IF octet_length(event_key) NOT BETWEEN 1 AND 255 OR event_key ~ '[\x01-\x1f\x7f]' THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'resthooks.publish: key must have 1-255 bytes without control characters';
    END IF;
    IF octet_length(publish.id) NOT BETWEEN 1 AND 255 OR publish.id ~ '[\x01-\x1f\x7f]' THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'resthooks.publish: id must have 1-255 bytes without control characters';
    END IF;
    IF publish.data IS NULL OR octet_length(publish.data) > 4194304 THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'resthooks.publish: data must be one JSON text of at most 4 MiB';
    END IF;
    tree := publish.data::json;
    IF event_key IS NULL AND json_typeof(tree) = 'object'
       AND json_typeof(tree -> 'id') IN ('string', 'number')
       AND (tree -> 'id')::text !~ '\\u0000' THEN
        event_key := tree ->> 'id';
        IF octet_length(event_key) NOT BETWEEN 1 AND 255 OR event_key ~ '[\x01-\x1f\x7f]' THEN
            event_key := NULL;
        END IF;
    END IF;
    IF publish.id IS NOT NULL THEN
        INSERT INTO resthooks.idempotency (tenant, client_id, event_id, created_at)
        VALUES (publish.tenant, publish.id, new_id, at) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT i.event_id INTO first_id FROM resthooks.idempotency i
            WHERE i.tenant = publish.tenant AND i.client_id = publish.id;
            RETURN first_id::text;
        END IF;
    END IF;
    IF at >= (SELECT p.covered_until FROM resthooks.partitioning p) THEN
        PERFORM resthooks.ensure_partitions(NULL);
    END IF;
    INSERT INTO resthooks.event (tenant, id, type, key, client_id, time, source, data)
    VALUES (publish.tenant, new_id, publish.type, event_key, publish.id, at, 'sql', publish.data);
    WITH target AS MATERIALIZED (
        SELECT s.id, s.ordered, resthooks.uuidv7() AS delivery_id
        FROM resthooks.subscription s
        WHERE s.tenant = publish.tenant AND s.state = 'active' AND s.id IN (
            SELECT e.subscription_id FROM resthooks.subscription_event e
            WHERE e.tenant = publish.tenant
              AND e.pattern = ANY (resthooks.patterns(publish.type)))),
    made AS (
        INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type)
        SELECT publish.tenant, t.delivery_id, new_id, t.id, publish.type FROM target t)
    INSERT INTO resthooks.queue
        (tenant, delivery_id, subscription_id, event_id, due_at, order_key)
    SELECT publish.tenant, t.delivery_id, t.id, new_id, at,
           CASE WHEN t.ordered THEN event_key END
    FROM target t;
    RETURN new_id::text;
END $$;
REVOKE EXECUTE ON FUNCTION resthooks.publish(text, text, text, text, text) FROM PUBLIC;
INSERT INTO resthooks.schema_version (version) VALUES (2);
