-- Licensed under the Apache License, Version 2.0: see LICENSE.
--
-- mod_resthooks on PostgreSQL 13 or later, version 4. `RestHooksSchema auto` creates and upgrades
-- it at start; `RestHooksSchema check` expects it there: psql -1 -f schema-pgsql.sql
--
-- Every key begins with the tenant. Times are milliseconds since the epoch by this server's clock.
-- Ids are UUIDv7, so they sort by time, and event, delivery and attempt are partitioned by ranges
-- of ids: rows past RestHooksRetention are removed by dropping partitions.
--
-- Grants. The role of DBDParams owns all this. A backend that publishes within its transactions
-- needs no more than
--     GRANT USAGE ON SCHEMA resthooks TO backend;
--     GRANT EXECUTE ON FUNCTION resthooks.publish(text, text, text, text, text) TO backend;
--     GRANT EXECUTE ON FUNCTION resthooks.publish(text, text, text, json, text, text) TO backend;
-- A role that has both may publish for every tenant.
--
-- Locks. The row of subscription_stat is the mutex of a subscription: a statement that changes
-- more than one row of a subscription locks it first, several in the order (tenant, id), so no
-- two of them wait for each other. A claim does not wait for locks at all (SKIP LOCKED), nor does an
-- expansion, which holds the lock of its row for one chunk.

-- An upgrade changes the tables first, and then runs every CREATE OR REPLACE and REVOKE of this
-- file.

CREATE SCHEMA IF NOT EXISTS resthooks;

CREATE TABLE resthooks.schema_version (
    version      integer NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (version)
);

-- Values that belong to the database, the same for all hosts: hop_key signs the number of
-- deliveries that led to a request, and database_id identifies this database.
CREATE TABLE resthooks.setting (
    name  text PRIMARY KEY,
    value text NOT NULL
);
INSERT INTO resthooks.setting (name, value) VALUES
    ('hop_key', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')),
    ('database_id', gen_random_uuid()::text);

-- ---- small functions ----

CREATE OR REPLACE FUNCTION resthooks.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- Returns a UUIDv7 (RFC 9562, 6.2 method 3: 12 bits of the millisecond's fraction). Ids sort
-- in the order of the calls.
CREATE OR REPLACE FUNCTION resthooks.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE AS
$$ SELECT (overlay(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint
                               * 512 / 125), 15, '0') PLACING '7' FROM 13 FOR 0)
           || right(gen_random_uuid()::text, 17))::uuid $$;

-- Returns the smallest id of a time.
CREATE OR REPLACE FUNCTION resthooks.uuid_floor(ms bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT rpad(lpad(to_hex(greatest(ms, 0)), 12, '0'), 32, '0')::uuid $$;

CREATE OR REPLACE FUNCTION resthooks.uuid_ms(id uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT ('x' || left(id::text, 8) || substr(id::text, 10, 4))::bit(48)::bigint $$;

-- Returns all patterns that match a type: for a.b.c these are a.b.c, a.b.*, a.* and *.
CREATE OR REPLACE FUNCTION resthooks.patterns(type text) RETURNS text[] LANGUAGE sql IMMUTABLE AS
$$ SELECT ARRAY[type, '*'] || ARRAY(
       SELECT array_to_string((string_to_array(type, '.'))[1:n], '.') || '.*'
       FROM generate_series(1, cardinality(string_to_array(type, '.')) - 1) AS n) $$;

-- ---- subscriptions ----

-- A row is a subscription. Earlier versions had a table named `subscription`, which is now the view
-- below.
CREATE TABLE resthooks.hook (
    tenant           text COLLATE "C" NOT NULL,
    id               uuid NOT NULL,
    target_url       text NOT NULL,
    format           text NOT NULL DEFAULT 'array',
    in_order         boolean NOT NULL DEFAULT false,   -- before version 4: ordered
    rate_limit       integer NOT NULL DEFAULT 0,      -- per second; 0: no limit
    state            text NOT NULL DEFAULT 'active'
                     CHECK (state IN ('active', 'paused', 'gone', 'disabled', 'pending')),
    state_reason     text,
    secret           text NOT NULL,
    old_secret       text,                            -- also signs until old_secret_until
    old_secret_until bigint NOT NULL DEFAULT 0,
    base_url         text NOT NULL,
    options          text NOT NULL DEFAULT '{}',      -- JSON: members that no statement reads
    created_at       bigint NOT NULL,
    updated_at       bigint NOT NULL,
    revision         bigint NOT NULL DEFAULT 1,
    CONSTRAINT subscription_pkey PRIMARY KEY (tenant, id)
);

-- Refuses hosts of versions before 0.2 that are still running after an upgrade. Their statements
-- that commit, claim or send again read `ordered`, so they fail, and the hosts keep their events
-- until they are upgraded. Settling does not read it, and because the function is STABLE, reading
-- other columns does not call it. Version 0.1 recognises the error by the words "the database
-- system is".
CREATE OR REPLACE FUNCTION resthooks.refuse_earlier() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'the database system is used by a later'
        ' mod_resthooks, for which this host has to be upgraded; until then its events wait';
END $$;

CREATE OR REPLACE VIEW resthooks.subscription AS
    SELECT tenant, id, target_url, coalesce(options::json ->> 'description', '') AS description, format,
           coalesce((options::json -> 'headers')::text, '{}') AS headers,
           resthooks.refuse_earlier() AS ordered, rate_limit, state, state_reason, secret,
           old_secret, old_secret_until, base_url, created_at, updated_at, revision
    FROM resthooks.hook;

CREATE TABLE resthooks.subscription_event (
    tenant          text COLLATE "C" NOT NULL,
    pattern         text COLLATE "C" NOT NULL,
    subscription_id uuid NOT NULL,
    position        integer NOT NULL,
    PRIMARY KEY (tenant, pattern, subscription_id),
    FOREIGN KEY (tenant, subscription_id)
        REFERENCES resthooks.hook (tenant, id) ON DELETE CASCADE
);
CREATE INDEX ON resthooks.subscription_event (tenant, subscription_id);

-- No index has a column that changes, and the pages have free space, so updates are HOT.
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
        REFERENCES resthooks.hook (tenant, id) ON DELETE CASCADE
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- ---- the logs ----
-- The logs have no foreign keys: their partitions are dropped independently, and checking a key
-- would be the most expensive part of an insert.

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
    previous    text,      -- RFC 7396 patch from the data back to what was there before
    reason      text,      -- why it is not sent, or its data is not as requested
    hops        integer NOT NULL DEFAULT 0,   -- number of deliveries that led to it
    PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
CREATE INDEX ON resthooks.event (tenant, type, id);

-- created_at is the time in the id, and `type` is copied from the event for lists. If the only
-- attempt delivered it, the row contains that attempt as well.
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
    attempt_id       uuid,
    started_at       bigint,
    ms               bigint,
    format           text,
    headers          text,
    answer           text,
    error            text,
    template         uuid,
    sent             text,
    PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
CREATE INDEX ON resthooks.delivery (tenant, subscription_id, id);
CREATE INDEX ON resthooks.delivery (tenant, event_id);
-- Finds the few deliveries that were not delivered among very many that were.
CREATE INDEX delivery_undelivered ON resthooks.delivery (tenant, id) WHERE state <> 'delivered';

CREATE TABLE resthooks.attempt (
    tenant      text COLLATE "C" NOT NULL,
    id          uuid NOT NULL,
    delivery_id uuid NOT NULL,
    number      integer NOT NULL,
    started_at  bigint NOT NULL,
    ms          bigint NOT NULL,
    status_code integer NOT NULL,
    format      text,   -- of the request; the subscription's may have changed since
    headers     text,
    answer      text,
    error       text,
    template    uuid,   -- id in sent_template; null: `sent` is complete
    sent        text,   -- JSON: url, headers, address, times; secrets are masked; or the template's values
    PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
CREATE INDEX ON resthooks.attempt (tenant, delivery_id);

-- The text that the requests of attempts share, stored once per version. While a template is in
-- use, seen_at is updated once per day.
CREATE TABLE resthooks.sent_template (
    tenant  text COLLATE "C" NOT NULL,
    id      uuid NOT NULL,      -- a digest of the text
    text    text NOT NULL,
    seen_at bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX ON resthooks.sent_template (seen_at);

-- One row: the retention last given to resthooks.ensure_partitions, and the time up to which there
-- are partitions.
CREATE TABLE resthooks.partitioning (
    one_row       boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    retention_ms  bigint NOT NULL,
    covered_until bigint NOT NULL
);
INSERT INTO resthooks.partitioning (retention_ms, covered_until) VALUES (36000000, 0);

-- ---- statistics ----

-- The outcomes of the deliveries that were made in an hour, and the durations of the attempts that
-- began in it: a JSON object of milliseconds, rounded to two digits, with the number of attempts.
-- The subscription whose id is all zeros is the total of the tenant. No index has a column that
-- changes, and the pages have free space, so updates are HOT.
CREATE TABLE resthooks.stat_hour (
    tenant          text COLLATE "C" NOT NULL,
    subscription_id uuid NOT NULL,
    hour            bigint NOT NULL,     -- start of the hour
    delivered       bigint NOT NULL DEFAULT 0,
    failed          bigint NOT NULL DEFAULT 0,
    cancelled       bigint NOT NULL DEFAULT 0,
    durations       text NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, subscription_id, hour)
) WITH (fillfactor = 50);
CREATE INDEX stat_hour_age ON resthooks.stat_hour (hour);

-- Changes that are not yet added to stat_hour. A statement that ends deliveries, or makes them
-- pending again, only appends rows here, so it never waits for another one. One process at a time
-- adds the rows to stat_hour.
CREATE TABLE resthooks.stat_change (
    tenant          text COLLATE "C" NOT NULL,
    subscription_id uuid NOT NULL,
    hour            bigint NOT NULL,
    delivered       integer NOT NULL,
    failed          integer NOT NULL,
    cancelled       integer NOT NULL,
    attempts        integer NOT NULL,
    ms              bigint NOT NULL      -- duration of each attempt
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0);

-- Adds two JSON objects of numbers, member by member.
CREATE OR REPLACE FUNCTION resthooks.add_counts(a text, b text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(jsonb_object_agg(s.key, s.count)::text, '{}') FROM
       (SELECT j.key, sum(j.value::bigint) AS count
        FROM (SELECT * FROM json_each_text(a::json) UNION ALL SELECT * FROM json_each_text(b::json)) AS j
        GROUP BY j.key) AS s $$;

-- ---- the queue ----

-- A row is a pending delivery. If lease is 0, it is due at due_at. If lease is greater than 0, a
-- process works on it until due_at. If lease is -1, it is parked until another delivery of its key
-- has ended, or until due_at. order_key is the event's key if the subscription is ordered, else
-- null. There is no foreign key to the subscription, because each insert would lock its row. Rows
-- of a deleted subscription are cancelled by the process that would claim them.
CREATE TABLE resthooks.queue (
    tenant          text COLLATE "C" NOT NULL,
    delivery_id     uuid NOT NULL,
    subscription_id uuid NOT NULL,
    event_id        uuid NOT NULL,
    due_at          bigint NOT NULL,
    lease           bigint NOT NULL DEFAULT 0,
    tries           integer NOT NULL DEFAULT 0,       -- attempts since the schedule (re)started
    attempt_count   integer NOT NULL DEFAULT 0,       -- all attempts
    last_status_code integer NOT NULL DEFAULT 0,
    order_key       text COLLATE "C",
    PRIMARY KEY (delivery_id, tenant)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 5000,
        vacuum_truncate = false);
-- These indexes contain all rows. They are partial so that only statements with the same condition
-- (a subscription id that is not null, a lease of at least -1, an event id that is not null) can
-- use them: while the statistics say that the queue is empty, any index with a column of the
-- statement would look as good as the best one.
CREATE INDEX queue_due ON resthooks.queue (tenant, subscription_id, due_at)
    WHERE subscription_id IS NOT NULL;
CREATE INDEX queue_due_at ON resthooks.queue (due_at) WHERE lease >= -1;
-- Has the order of lists. NULLS LAST makes sure that no other index has the same order.
CREATE INDEX queue_newest ON resthooks.queue (tenant, delivery_id DESC NULLS LAST)
    WHERE event_id IS NOT NULL;
CREATE INDEX ON resthooks.queue (tenant, subscription_id, order_key, event_id, delivery_id)
    WHERE order_key IS NOT NULL;
CREATE INDEX ON resthooks.queue (tenant, subscription_id, order_key)
    WHERE order_key IS NOT NULL AND lease > 0;

-- An event that more subscriptions want than its commit makes deliveries for. The subscriptions
-- after after_id, up to until_id, get theirs in chunks, each in one transaction with the new
-- after_id.
CREATE TABLE resthooks.expansion (
    tenant     text COLLATE "C" NOT NULL,
    event_id   uuid NOT NULL,
    after_id   uuid NOT NULL,     -- id of a subscription
    until_id   uuid NOT NULL,     -- the last subscription that wanted the event at its commit
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant, event_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- A replay or redelivery in bulk. It runs in chunks, and the deliveries of a chunk are committed
-- together with the cursor.
CREATE TABLE resthooks.job (
    tenant          text COLLATE "C" NOT NULL,
    id              uuid NOT NULL,
    kind            text NOT NULL,      -- replay, redeliver
    subscription_id uuid,
    filter          text NOT NULL,      -- JSON, as requested
    spec            text NOT NULL,      -- JSON, as executed
    cursor          uuid NOT NULL,
    state           text NOT NULL DEFAULT 'running',
    done            bigint NOT NULL DEFAULT 0,
    total           bigint,
    created_by      text,
    created_at      bigint NOT NULL,
    updated_at      bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX job_running ON resthooks.job (updated_at) WHERE state = 'running';

CREATE TABLE resthooks.idempotency (
    tenant     text COLLATE "C" NOT NULL,
    client_id  text COLLATE "C" NOT NULL,
    event_id   uuid NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant, client_id)
);
CREATE INDEX ON resthooks.idempotency (created_at);

-- Claims due deliveries of one ordered subscription: only the first of each key, and none while
-- another delivery of the key is leased.
--
-- Two claimers at once, without the advisory lock:
--   1  B (key k) waits in the queue; host one's statement begins
--   2  A, an older event of k, is sent again by a person: its row appears
--   3  host two's statement begins, sees A and B; A is the first, k is not leased: it takes A
--   4  host one sees B alone, it is the first: it takes B, and both are on their way
-- With the lock, host one's statement runs either before A appears or after A is leased, because
-- each statement in this function has its own snapshot, taken after the lock.
--
-- With `spare`, deliveries with an expired lease are not claimed, and still block their key.
--
-- A due delivery that has to wait is parked (lease -1), so that a long queue of one key is not read
-- again and again. Settling the first one wakes the next. Without a further lock, a wake-up could
-- be lost:
--   1  A is leased, B is due after it; claimer looks at B: A is in its way
--   2  A is settled, its row deleted, the next of the key woken: B is not parked yet, no change
--   3  claimer parks B: it is never woken
-- So the claimer locks A's row before it parks B. Either settling A waits for that lock and then
-- finds B parked (see resthooks.wake_ordered), or A is gone already and B is not parked.
--
-- While the expansion of an earlier event has not reached the subscription, no delivery of a later
-- event is claimed. An expansion's deliveries become visible together with its progress, so a
-- claimer that sees no such expansion sees the earlier event's delivery in its next statement.
--
-- An older delivery may be parked as well: it was sent again while a younger one was leased, and
-- the process with the lease died. That lease is never settled and wakes no delivery, so a claimer
-- that finds the older delivery first in its key claims it.
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
            CONTINUE WHEN EXISTS (
                SELECT 1 FROM resthooks.expansion x
                WHERE x.tenant = for_tenant AND x.event_id < due.event_id
                  AND x.after_id < for_subscription AND x.until_id >= for_subscription);
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

-- Wakes the next delivery of a key whose first one was settled. The statement that deleted the
-- first one calls it afterwards. It is a function because it needs a snapshot of its own:
--   1  A is leased; the statement that settles it begins, and waits for the row of its subscription
--   2  B, of the same key, is stored; a claimer finds A in its way, and parks B
--   3  the statement goes on and deletes A; B is not in its view
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

-- Tells whether an attempt has a row of its own. It is a function so that only its calls search the
-- partitions; the calling statement would lock all of them each time. The rows are read in the order
-- of the primary key, which only that index has (see settle_logged).
CREATE OR REPLACE FUNCTION resthooks.has_attempt(for_tenant text, attempt uuid)
RETURNS boolean LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    PERFORM 1 FROM resthooks.attempt a WHERE a.tenant = for_tenant AND a.id >= attempt
        AND a.id <= attempt ORDER BY a.id LIMIT 1;
    RETURN FOUND;
END $$;

-- Updates the row of a delivery that is in the log already, after one of its attempts. new_state is
-- null if the attempt did not end the delivery. `has_attempt` is true if this attempt was settled
-- before; if somebody has sent the delivery again since, it stays pending. No row is returned if the
-- log has none. It is a function because it needs a snapshot of its own, which contains rows that
-- another host logged after the calling statement began. The rows are read in the order of the primary
-- key, which only that index has: while a partition has no statistics, any index that contains the
-- tenant would look equally good.
CREATE OR REPLACE FUNCTION resthooks.settle_logged(
    for_tenant text, for_delivery uuid, attempt uuid, number integer, status_code integer,
    new_state text)
RETURNS TABLE (earlier_state text, has_attempt boolean) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    place tid;
BEGIN
    SELECT d.state, d.attempt_id IS NOT DISTINCT FROM attempt, d.ctid
    INTO earlier_state, has_attempt, place FROM resthooks.delivery d
    WHERE d.tenant = for_tenant AND d.id >= for_delivery AND d.id <= for_delivery
    ORDER BY d.id LIMIT 1 FOR UPDATE;
    IF earlier_state = 'pending' AND resthooks.has_attempt(for_tenant, attempt) THEN
        earlier_state := coalesce(new_state, earlier_state);
        has_attempt := true;
        RETURN NEXT;
    ELSIF FOUND THEN
        UPDATE resthooks.delivery d
        SET state = coalesce(new_state, d.state), attempt_count = greatest(d.attempt_count, number),
            last_status_code = coalesce(status_code, d.last_status_code)
        WHERE d.ctid = place AND d.tenant = for_tenant AND d.id = for_delivery;
        RETURN NEXT;
    END IF;
END $$;

-- ---- partitions ----

-- Creates the partitions that are needed next: each spans a tenth of the retention, in whole hours
-- or days, and they reach three widths ahead. They continue where the last one ends, whatever its
-- width. The first one also takes all older rows. If retention_ms is null, the last value is used.
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
                -- After a long time without housekeeping, one wide partition spans the gap.
                next_end := CASE WHEN last_end < at - 12 * width THEN at / width * width
                                 ELSE (last_end / width + 1) * width END;
            END IF;
            -- The partition is created separately and attached, because ATTACH does not block reads
            -- and writes of the parent.
            EXECUTE format('CREATE TABLE resthooks.%I (LIKE resthooks.%I INCLUDING ALL)',
                           part_name, log_name);
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

-- Creates a partition for all rows older than the others, if retention has dropped the first one:
-- an event may have waited in a spool for longer than the retention.
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

-- Lists the partitions and their bounds. The lower bound is null if the partition has all older
-- rows. The bounds are read from the catalogue and not stored elsewhere.
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

-- Drops partitions that ended before the retention. Dropping locks the parent for a moment. While
-- it waits for that lock all later statements wait for it, so it gives up soon and is called again
-- later.
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

-- Creates partitions of one hour, until the first housekeeping gives the actual retention.
SELECT resthooks.ensure_partitions(36000000);

-- ---- publishing within a transaction ----

-- Publishes an event of a tenant and returns its id. The event is committed or rolled back with the
-- caller's transaction, and sent soon after the commit. `id` is an idempotency key: if it was used
-- before, the id of the first event is returned and no event is published. If key is null, the `id`
-- of the data is the key. `previous` has the members that changed, with their earlier values (an
-- RFC 7396 patch from the data back to the earlier state).
CREATE OR REPLACE FUNCTION resthooks.publish(
    tenant text, type text, data text, previous json, key text DEFAULT NULL, id text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
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
    IF json_typeof(publish.previous) <> 'object' OR octet_length(publish.previous::text) > 4194304 THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'resthooks.publish: previous must be a JSON object of at most 4 MiB';
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
    INSERT INTO resthooks.event (tenant, id, type, key, client_id, time, source, data, previous)
    VALUES (publish.tenant, new_id, publish.type, event_key, publish.id, at, 'sql', publish.data,
            publish.previous::text);
    WITH reached AS MATERIALIZED (
        SELECT r.id, row_number() OVER (ORDER BY r.id) AS place
        FROM (SELECT DISTINCT e.subscription_id AS id
              FROM unnest(resthooks.patterns(publish.type)) AS p(pattern)
              CROSS JOIN LATERAL (SELECT x.subscription_id FROM resthooks.subscription_event x
                                  WHERE x.tenant = publish.tenant AND x.pattern = p.pattern
                                  ORDER BY x.subscription_id LIMIT 65) AS e) AS r),
    target AS MATERIALIZED (
        SELECT s.id, s.in_order,
               (left(new_id::text, 18) || right(gen_random_uuid()::text, 18))::uuid AS delivery_id
        FROM reached r JOIN resthooks.hook s ON s.tenant = publish.tenant AND s.id = r.id
        WHERE s.state = 'active' AND r.place <= 64),
    opened AS (
        INSERT INTO resthooks.expansion (tenant, event_id, after_id, until_id, created_at)
        SELECT publish.tenant, new_id, r.id,
               (SELECT l.subscription_id FROM unnest(resthooks.patterns(publish.type)) AS p(pattern)
                CROSS JOIN LATERAL (SELECT x.subscription_id FROM resthooks.subscription_event x
                                    WHERE x.tenant = publish.tenant AND x.pattern = p.pattern
                                    ORDER BY x.subscription_id DESC LIMIT 1) AS l
                ORDER BY l.subscription_id DESC LIMIT 1), at
        FROM reached r WHERE r.place = 64 AND EXISTS (SELECT 1 FROM reached n WHERE n.place = 65))
    INSERT INTO resthooks.queue
        (tenant, delivery_id, subscription_id, event_id, due_at, order_key)
    SELECT publish.tenant, t.delivery_id, t.id, new_id, at,
           CASE WHEN t.in_order THEN event_key END
    FROM target t;
    RETURN new_id::text;
END $$;

-- Publishes an event without `previous`.
CREATE OR REPLACE FUNCTION resthooks.publish(
    tenant text, type text, data text, key text DEFAULT NULL, id text DEFAULT NULL)
RETURNS text LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS
$$ SELECT resthooks.publish(publish.tenant, publish.type, publish.data, NULL::json, publish.key,
                            publish.id) $$;

REVOKE EXECUTE ON FUNCTION resthooks.publish(text, text, text, text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION resthooks.publish(text, text, text, json, text, text) FROM PUBLIC;

INSERT INTO resthooks.schema_version (version) VALUES (4);
