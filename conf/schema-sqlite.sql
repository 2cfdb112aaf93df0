-- Licensed under the Apache License, Version 2.0: see LICENSE.
--
-- mod_resthooks on SQLite 3.38 or later, version 4: the tables of schema-pgsql.sql without
-- partitions. Rows past RestHooksRetention are deleted in chunks. `RestHooksSchema auto` creates
-- the tables at start. Times are milliseconds since the epoch, and ids are UUIDv7 as text.

CREATE TABLE resthooks_schema_version (
    version      integer PRIMARY KEY,
    installed_at text NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE resthooks_setting (
    name  text PRIMARY KEY,
    value text NOT NULL
) WITHOUT ROWID;
INSERT INTO resthooks_setting (name, value) VALUES
    ('hop_key', lower(hex(randomblob(32)))),
    ('database_id', lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4'
        || substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-'
        || hex(randomblob(6))));

CREATE TABLE resthooks_subscription (
    tenant           text NOT NULL,
    id               text NOT NULL,
    target_url       text NOT NULL,
    format           text NOT NULL DEFAULT 'array',
    in_order         integer NOT NULL DEFAULT 0,       -- before version 4: ordered
    rate_limit       integer NOT NULL DEFAULT 0,
    state            text NOT NULL DEFAULT 'active'
                     CHECK (state IN ('active', 'paused', 'gone', 'disabled', 'pending')),
    state_reason     text,
    secret           text NOT NULL,
    old_secret       text,
    old_secret_until integer NOT NULL DEFAULT 0,
    base_url         text NOT NULL,
    options          text NOT NULL DEFAULT '{}',
    created_at       integer NOT NULL,
    updated_at       integer NOT NULL,
    revision         integer NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE resthooks_subscription_pattern (
    tenant          text NOT NULL,
    pattern         text NOT NULL,
    subscription_id text NOT NULL,
    position        integer NOT NULL,
    PRIMARY KEY (tenant, pattern, subscription_id),
    FOREIGN KEY (tenant, subscription_id)
        REFERENCES resthooks_subscription (tenant, id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX resthooks_subscription_event_subscription
    ON resthooks_subscription_pattern (tenant, subscription_id);

-- Refuses processes of versions before 0.2 that still run after an upgrade: their commits read this
-- view, which is invalid, so they fail and the processes keep their events until they are upgraded.
-- Version 0.1 recognises the error by the words "database is locked".
CREATE VIEW resthooks_subscription_event AS SELECT p.tenant, p.pattern,
 p."database is locked until this host has mod_resthooks 0.2" AS subscription_id, p.position
 FROM resthooks_subscription_pattern p;

CREATE TABLE resthooks_subscription_stat (
    tenant           text NOT NULL,
    subscription_id  text NOT NULL,
    delivered        integer NOT NULL DEFAULT 0,
    failed           integer NOT NULL DEFAULT 0,
    last_status_code integer NOT NULL DEFAULT 0,
    last_attempt_at  integer NOT NULL DEFAULT 0,
    failing_since    integer,
    paused_until     integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, subscription_id),
    FOREIGN KEY (tenant, subscription_id)
        REFERENCES resthooks_subscription (tenant, id) ON DELETE CASCADE
) WITHOUT ROWID;

-- The logs have no foreign keys, so that retention can clean each of them independently.

CREATE TABLE resthooks_event (
    tenant      text NOT NULL,
    id          text NOT NULL,
    type        text NOT NULL,
    key         text,
    client_id   text,
    traceparent text,
    time        integer NOT NULL,
    source      text NOT NULL,
    data        text NOT NULL,
    previous    text,      -- RFC 7396 patch from the data back to what was there before
    reason      text,      -- why it is not sent, or its data is not as requested
    hops        integer NOT NULL DEFAULT 0,   -- number of deliveries that led to it
    PRIMARY KEY (tenant, id)
);
CREATE INDEX resthooks_event_type ON resthooks_event (tenant, type, id);
CREATE INDEX resthooks_event_age ON resthooks_event (id);

CREATE TABLE resthooks_delivery (
    tenant           text NOT NULL,
    id               text NOT NULL,
    event_id         text NOT NULL,
    subscription_id  text NOT NULL,
    type             text NOT NULL,
    state            text NOT NULL DEFAULT 'pending'
                     CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
    attempt_count    integer NOT NULL DEFAULT 0,
    last_status_code integer NOT NULL DEFAULT 0,
    attempt_id       text,      -- the only attempt, if it delivered; so are the next columns
    started_at       integer,
    ms               integer,
    format           text,
    headers          text,
    answer           text,
    error            text,
    template         text,
    sent             text,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX resthooks_delivery_subscription ON resthooks_delivery (tenant, subscription_id, id);
CREATE INDEX resthooks_delivery_event ON resthooks_delivery (tenant, event_id);
CREATE INDEX resthooks_delivery_age ON resthooks_delivery (id);
-- Finds the few deliveries that were not delivered among very many that were.
CREATE INDEX resthooks_delivery_undelivered ON resthooks_delivery (tenant, id)
WHERE state <> 'delivered';

CREATE TABLE resthooks_attempt (
    tenant      text NOT NULL,
    id          text NOT NULL,
    delivery_id text NOT NULL,
    number      integer NOT NULL,
    started_at  integer NOT NULL,
    ms          integer NOT NULL,
    status_code integer NOT NULL,
    format      text,   -- of the request; the subscription's may have changed since
    headers     text,
    answer      text,
    error       text,
    template    text,   -- id in sent_template; null: `sent` is complete
    sent        text,   -- JSON: url, headers, address, times; secrets masked; or the template's values
    PRIMARY KEY (tenant, id)
);
CREATE INDEX resthooks_attempt_delivery ON resthooks_attempt (tenant, delivery_id);
CREATE INDEX resthooks_attempt_age ON resthooks_attempt (id);

-- The text that the requests of attempts share, stored once per version. While a template is in
-- use, seen_at is updated once per day.
CREATE TABLE resthooks_sent_template (
    tenant  text NOT NULL,
    id      text NOT NULL,      -- a digest of the text
    text    text NOT NULL,
    seen_at integer NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX resthooks_sent_template_age ON resthooks_sent_template (seen_at);

-- Sums per hour, and the changes that are not yet added to them. See schema-pgsql.sql.
CREATE TABLE resthooks_stat_hour (
    tenant          text NOT NULL,
    subscription_id text NOT NULL,       -- all zeros: the tenant's total
    hour            integer NOT NULL,    -- start of the hour
    delivered       integer NOT NULL DEFAULT 0,
    failed          integer NOT NULL DEFAULT 0,
    cancelled       integer NOT NULL DEFAULT 0,
    durations       text NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, subscription_id, hour)
) WITHOUT ROWID;
CREATE INDEX resthooks_stat_hour_age ON resthooks_stat_hour (hour);

CREATE TABLE resthooks_stat_change (
    tenant          text NOT NULL,
    subscription_id text NOT NULL,
    hour            integer NOT NULL,
    delivered       integer NOT NULL,
    failed          integer NOT NULL,
    cancelled       integer NOT NULL,
    attempts        integer NOT NULL,
    ms              integer NOT NULL     -- duration of each attempt
);

-- If lease is 0, the delivery is due at due_at. If it is greater than 0, a process works on it
-- until due_at. If it is -1, it is parked until another delivery of its key has ended.
CREATE TABLE resthooks_queue (
    tenant          text NOT NULL,
    delivery_id     text NOT NULL,
    subscription_id text NOT NULL,
    event_id        text NOT NULL,
    due_at          integer NOT NULL,
    lease           integer NOT NULL DEFAULT 0,
    tries           integer NOT NULL DEFAULT 0,
    attempt_count   integer NOT NULL DEFAULT 0,
    last_status_code integer NOT NULL DEFAULT 0,
    order_key       text,
    PRIMARY KEY (tenant, delivery_id)
) WITHOUT ROWID;
CREATE INDEX resthooks_queue_due ON resthooks_queue (tenant, subscription_id, due_at);
CREATE INDEX resthooks_queue_due_at ON resthooks_queue (due_at);
CREATE INDEX resthooks_queue_order
    ON resthooks_queue (tenant, subscription_id, order_key, event_id, delivery_id)
    WHERE order_key IS NOT NULL;
CREATE INDEX resthooks_queue_order_leased
    ON resthooks_queue (tenant, subscription_id, order_key)
    WHERE order_key IS NOT NULL AND lease > 0;

-- An event that more subscriptions want than its commit makes deliveries for. The subscriptions
-- after after_id, up to until_id, get theirs in chunks, each in one transaction with the new
-- after_id.
CREATE TABLE resthooks_expansion (
    tenant     text NOT NULL,
    event_id   text NOT NULL,
    after_id   text NOT NULL,     -- id of a subscription
    until_id   text NOT NULL,     -- the last subscription that wanted the event at its commit
    created_at integer NOT NULL,
    PRIMARY KEY (tenant, event_id)
) WITHOUT ROWID;

-- A replay or redelivery in bulk. It runs in chunks, and the deliveries of a chunk are committed
-- together with the cursor.
CREATE TABLE resthooks_job (
    tenant          text NOT NULL,
    id              text NOT NULL,
    kind            text NOT NULL,      -- replay, redeliver
    subscription_id text,
    filter          text NOT NULL,      -- JSON, as requested
    spec            text NOT NULL,      -- JSON, as executed
    cursor          text NOT NULL,
    state           text NOT NULL DEFAULT 'running',
    done            integer NOT NULL DEFAULT 0,
    total           integer,
    created_by      text,
    created_at      integer NOT NULL,
    updated_at      integer NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX resthooks_job_running ON resthooks_job (updated_at) WHERE state = 'running';

CREATE TABLE resthooks_idempotency (
    tenant     text NOT NULL,
    client_id  text NOT NULL,
    event_id   text NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (tenant, client_id)
) WITHOUT ROWID;
CREATE INDEX resthooks_idempotency_age ON resthooks_idempotency (created_at);

INSERT INTO resthooks_schema_version (version) VALUES (4);
