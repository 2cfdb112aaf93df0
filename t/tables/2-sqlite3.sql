-- Licensed under the Apache License, Version 2.0: see LICENSE.
-- The tables of version 2, without comments.
CREATE TABLE resthooks_schema_version (
    version      integer PRIMARY KEY,
    installed_at text NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE resthooks_subscription (
    tenant           text NOT NULL,
    id               text NOT NULL,
    target_url       text NOT NULL,
    description      text NOT NULL DEFAULT '',
    format           text NOT NULL DEFAULT 'array'
                     CHECK (format IN ('array', 'envelope', 'cloudevents', 'skinny')),
    headers          text NOT NULL DEFAULT '{}',
    ordered          integer NOT NULL DEFAULT 0,
    rate_limit       integer NOT NULL DEFAULT 0,
    state            text NOT NULL DEFAULT 'active'
                     CHECK (state IN ('active', 'paused', 'gone', 'disabled', 'pending')),
    state_reason     text,
    secret           text NOT NULL,
    old_secret       text,
    old_secret_until integer NOT NULL DEFAULT 0,
    base_url         text NOT NULL,
    created_at       integer NOT NULL,
    updated_at       integer NOT NULL,
    revision         integer NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE TABLE resthooks_subscription_event (
    tenant          text NOT NULL,
    pattern         text NOT NULL,
    subscription_id text NOT NULL,
    position        integer NOT NULL,
    PRIMARY KEY (tenant, pattern, subscription_id),
    FOREIGN KEY (tenant, subscription_id)
        REFERENCES resthooks_subscription (tenant, id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX resthooks_subscription_event_subscription
    ON resthooks_subscription_event (tenant, subscription_id);
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
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX resthooks_delivery_subscription ON resthooks_delivery (tenant, subscription_id, id);
CREATE INDEX resthooks_delivery_event ON resthooks_delivery (tenant, event_id);
CREATE INDEX resthooks_delivery_age ON resthooks_delivery (id);
CREATE TABLE resthooks_attempt (
    tenant      text NOT NULL,
    id          text NOT NULL,
    delivery_id text NOT NULL,
    number      integer NOT NULL,
    started_at  integer NOT NULL,
    ms          integer NOT NULL,
    status_code integer NOT NULL,
    format      text,
    headers     text,
    answer      text,
    error       text,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX resthooks_attempt_delivery ON resthooks_attempt (tenant, delivery_id);
CREATE INDEX resthooks_attempt_age ON resthooks_attempt (id);
CREATE TABLE resthooks_queue (
    tenant          text NOT NULL,
    delivery_id     text NOT NULL,
    subscription_id text NOT NULL,
    event_id        text NOT NULL,
    due_at          integer NOT NULL,
    lease           integer NOT NULL DEFAULT 0,
    tries           integer NOT NULL DEFAULT 0,
    attempt_count   integer NOT NULL DEFAULT 0,
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
CREATE TABLE resthooks_idempotency (
    tenant     text NOT NULL,
    client_id  text NOT NULL,
    event_id   text NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (tenant, client_id)
) WITHOUT ROWID;
CREATE INDEX resthooks_idempotency_age ON resthooks_idempotency (created_at);
INSERT INTO resthooks_schema_version (version) VALUES (2);
