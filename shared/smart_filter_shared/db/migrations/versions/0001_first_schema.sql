-- Some indexes of `jobs` are partial, because a job's row is written often. An update of a column that
-- an index names, in its columns or its condition, adds the row to every index of the table (no HOT
-- update). `jobs_unsuccessful` and `jobs_by_metadata` name no column that only they name and an update
-- changes. `fastupdate` is off, because a worker would pay for emptying the pending list of 4 MB in one
-- transaction.

CREATE TABLE artifacts (
    tenant text NOT NULL,
    key text NOT NULL,
    job_id uuid NOT NULL,
    kind text NOT NULL,
    expires_at timestamptz NOT NULL,
    marked_at timestamptz,
    leased_until timestamptz,
    held_since timestamptz,
    length bigint DEFAULT 0 NOT NULL,
    CONSTRAINT artifacts_kind CHECK (kind IN ('photo', 'intermediate', 'result')),
    PRIMARY KEY (tenant, key)
);
CREATE INDEX artifacts_by_job ON artifacts (job_id);
CREATE INDEX artifacts_expiring ON artifacts (expires_at) WHERE marked_at IS NULL;
CREATE INDEX artifacts_marked ON artifacts (marked_at) WHERE marked_at IS NOT NULL;

CREATE TABLE audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz DEFAULT statement_timestamp() NOT NULL,
    tenant text NOT NULL,
    event text NOT NULL,
    key_id uuid,
    network text,
    subject text,
    count bigint DEFAULT 1 NOT NULL
);
CREATE INDEX audit_events_by_tenant ON audit_events (tenant, id);
CREATE INDEX audit_events_by_time ON audit_events (at);

CREATE TABLE backgrounds (
    tenant text NOT NULL,
    name text NOT NULL,
    title text NOT NULL,
    tags text[] NOT NULL,
    moods text[] NOT NULL,
    palette text[] NOT NULL,
    brightness double precision NOT NULL,
    impression text NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    origin text NOT NULL,
    stamp text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT backgrounds_key UNIQUE (key),
    PRIMARY KEY (tenant, name)
);

CREATE TABLE batch_gaps (
    batch_id uuid NOT NULL,
    index integer NOT NULL,
    job_id uuid,
    outcome text NOT NULL,
    error jsonb,
    PRIMARY KEY (batch_id, index)
);

CREATE TABLE batches (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    total integer NOT NULL,
    best integer,
    ranked_at timestamptz,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    deleted_at timestamptz,
    webhook_url text,
    CONSTRAINT batches_best CHECK (best >= 0)
);
CREATE INDEX batches_by_tenant ON batches (tenant, id);
CREATE INDEX batches_deleted ON batches (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE borrowers (
    tenant text NOT NULL,
    key text NOT NULL,
    job_id uuid NOT NULL,
    PRIMARY KEY (tenant, key, job_id)
);
CREATE INDEX borrowers_by_job ON borrowers (job_id);

CREATE TABLE browser_codes (
    digest bytea PRIMARY KEY,
    key_id uuid NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE browser_sessions (
    digest bytea PRIMARY KEY,
    key_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX browser_sessions_expiring ON browser_sessions (expires_at);

CREATE TABLE capabilities (
    name text PRIMARY KEY,
    mark double precision NOT NULL,
    mean_seconds double precision
);

CREATE TABLE cells (
    name text PRIMARY KEY,
    swept_at timestamptz NOT NULL,
    virtual_time double precision DEFAULT 0 NOT NULL,
    expires_from timestamptz NOT NULL,
    cleared_at timestamptz NOT NULL
);

CREATE TABLE corrections (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    job_id uuid NOT NULL,
    kind text NOT NULL,
    stage text NOT NULL,
    form text NOT NULL,
    key text,
    label jsonb,
    consent boolean NOT NULL,
    provenance jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    collected_at timestamptz,
    CONSTRAINT corrections_key CHECK ((key IS NULL) = (form = 'label')),
    CONSTRAINT corrections_kind CHECK (kind IN ('matte', 'label'))
);
CREATE INDEX corrections_by_job ON corrections (job_id, id);
CREATE INDEX corrections_expiring ON corrections (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX corrections_uncollected ON corrections (id)
    WHERE consent AND (collected_at IS NULL);

CREATE TABLE data_items (
    task text NOT NULL,
    correction_id uuid NOT NULL,
    job_id uuid NOT NULL,
    tenant text NOT NULL,
    part text NOT NULL,
    photo text NOT NULL,
    fingerprint bigint,
    files jsonb NOT NULL,
    keys text[] NOT NULL,
    counts jsonb NOT NULL,
    provenance jsonb NOT NULL,
    corrected_at timestamptz NOT NULL,
    versions integer[] DEFAULT '{}' NOT NULL,
    CONSTRAINT data_items_part CHECK (part IN ('train', 'frozen')),
    PRIMARY KEY (task, correction_id)
);
CREATE INDEX data_items_by_job ON data_items (job_id);

CREATE TABLE data_removals (
    id uuid NOT NULL,
    task text NOT NULL,
    version integer NOT NULL,
    removed_at timestamptz NOT NULL,
    PRIMARY KEY (id, task, version)
);
CREATE INDEX data_removals_by_set ON data_removals (task, version);

CREATE TABLE data_sets (
    task text NOT NULL,
    version integer NOT NULL,
    parent integer,
    created_at timestamptz NOT NULL,
    manifest_digest text,
    removals_told integer DEFAULT 0 NOT NULL,
    leased_until timestamptz,
    PRIMARY KEY (task, version)
);

CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL,
    webhook text NOT NULL,
    url text,
    lane text NOT NULL,
    job_id uuid,
    type text NOT NULL,
    happened_at timestamptz NOT NULL,
    state text DEFAULT 'waiting' NOT NULL,
    due_at timestamptz NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    lease_token uuid,
    leased_until timestamptz,
    finished_at timestamptz,
    batch_id uuid,
    CONSTRAINT deliveries_lease CHECK ((state = 'sending') = (lease_token IS NOT NULL)),
    CONSTRAINT deliveries_state
        CHECK (state IN ('waiting', 'sending', 'succeeded', 'failed'))
) WITH (fillfactor = 70);
CREATE INDEX deliveries_by_batch ON deliveries (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX deliveries_by_job ON deliveries (job_id);
CREATE INDEX deliveries_due ON deliveries (lane, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
-- Bounds how many deliveries of a tenant have not ended.
CREATE INDEX deliveries_pending ON deliveries (tenant) WHERE finished_at IS NULL;
CREATE INDEX deliveries_of_webhook ON deliveries (tenant, webhook, number);
CREATE INDEX deliveries_sending ON deliveries (lane) WHERE state = 'sending';

CREATE TABLE delivery_attempts (
    delivery_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    seconds double precision NOT NULL,
    status smallint,
    answer text,
    error text,
    PRIMARY KEY (delivery_id, id)
);

CREATE TABLE events (
    job_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    type text NOT NULL,
    stage text,
    state text NOT NULL,
    at timestamptz NOT NULL,
    written_in bigint NOT NULL,
    PRIMARY KEY (job_id, id)
);
CREATE INDEX events_new ON events (written_in);

CREATE TABLE failures (
    minute timestamptz NOT NULL,
    capability text NOT NULL,
    code text NOT NULL,
    jobs bigint NOT NULL,
    last_job_id uuid NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (minute, capability, code)
);

CREATE TABLE foresight (
    priority text PRIMARY KEY,
    jobs bigint NOT NULL,
    p50_log double precision NOT NULL,
    p90_log double precision NOT NULL
);

CREATE TABLE installation (
    id uuid PRIMARY KEY,
    token uuid,
    next_token uuid,
    confirmed_at timestamptz,
    fault text
);

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    recipe jsonb NOT NULL,
    seed bigint NOT NULL,
    metadata jsonb NOT NULL,
    photo_key text,
    photo_digest text,
    background_key text,
    created_at timestamptz NOT NULL,
    estimated_seconds double precision NOT NULL,
    settled boolean DEFAULT false NOT NULL,
    outcome text,
    finished_at timestamptz,
    error jsonb,
    webhook_url text,
    megapixels double precision DEFAULT 0 NOT NULL,
    counted_seconds double precision,
    photo_url text,
    upload_id uuid,
    upload_etag text,
    keep_input_seconds double precision NOT NULL,
    keep_result_seconds double precision NOT NULL,
    keep_nothing boolean DEFAULT false NOT NULL,
    handed_over text[] DEFAULT '{}' NOT NULL,
    expires_at timestamptz,
    expired_at timestamptz,
    parent_id uuid,
    reopened smallint DEFAULT 0 NOT NULL,
    corrections jsonb DEFAULT '[]' NOT NULL,
    foreseen_p50 double precision,
    foreseen_p90 double precision,
    degraded text[],
    deadline_at timestamptz,
    batch_id uuid,
    batch_index integer,
    album_rank integer,
    album_terms jsonb,
    link_seconds integer,
    device_key_id uuid,
    key_id uuid,
    CONSTRAINT jobs_finished CHECK ((outcome IS NULL) = (finished_at IS NULL)),
    CONSTRAINT jobs_outcome CHECK (outcome IN ('succeeded', 'failed', 'canceled')),
    CONSTRAINT jobs_photo
        CHECK ((photo_key IS NOT NULL) OR (photo_url IS NOT NULL) OR (upload_id IS NOT NULL))
) PARTITION BY RANGE (id);
CREATE INDEX jobs_by_metadata ON jobs USING gin (metadata jsonb_path_ops)
    WITH (fastupdate = off) WHERE metadata <> '{}';
CREATE INDEX jobs_by_photo ON jobs (tenant, photo_digest, id);
CREATE INDEX jobs_by_tenant ON jobs (tenant, id);
CREATE INDEX jobs_by_upload ON jobs (upload_id) WHERE upload_id IS NOT NULL;
CREATE INDEX jobs_deadlines ON jobs (deadline_at)
    WHERE outcome IS NULL AND deadline_at IS NOT NULL;
CREATE INDEX jobs_expiring ON jobs (expires_at)
    WHERE expires_at IS NOT NULL AND expired_at IS NULL;
CREATE INDEX jobs_of_batch ON jobs (batch_id, outcome) WHERE batch_id IS NOT NULL;
CREATE INDEX jobs_unfinished ON jobs (tenant) WHERE outcome IS NULL;
CREATE INDEX jobs_unsettled ON jobs (id) WHERE outcome IS NOT NULL AND NOT settled;
CREATE INDEX jobs_unsuccessful ON jobs (tenant, outcome, id)
    WHERE outcome IN ('failed', 'canceled');

CREATE TABLE keys (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    digest bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    parent uuid,
    max_jobs integer,
    jobs integer DEFAULT 0 NOT NULL,
    issued_by uuid,
    is_personal boolean DEFAULT false NOT NULL,
    CONSTRAINT keys_digest_key UNIQUE (digest)
);
CREATE INDEX keys_by_issuer ON keys (issued_by) WHERE issued_by IS NOT NULL;
CREATE INDEX keys_by_parent ON keys (parent) WHERE parent IS NOT NULL;
CREATE INDEX keys_by_tenant ON keys (tenant, id);

CREATE TABLE measures (
    what text NOT NULL,
    subject text NOT NULL,
    count bigint NOT NULL,
    seconds double precision NOT NULL,
    PRIMARY KEY (what, subject)
);

CREATE TABLE model_versions (
    digest text PRIMARY KEY,
    task text NOT NULL,
    model text NOT NULL,
    key text NOT NULL,
    state text NOT NULL,
    share double precision,
    metrics jsonb NOT NULL,
    parent text,
    data_set integer,
    trained_on text NOT NULL,
    trained_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    moved_at timestamptz NOT NULL,
    replaced text,
    CONSTRAINT model_versions_share CHECK ((share IS NOT NULL) = (state = 'shadow')),
    CONSTRAINT model_versions_state
        CHECK (state IN ('candidate', 'shadow', 'live', 'retired'))
);
CREATE INDEX model_versions_by_model ON model_versions (task, model);
CREATE UNIQUE INDEX model_versions_live ON model_versions (task, model) WHERE state = 'live';
CREATE UNIQUE INDEX model_versions_shadow ON model_versions (task, model)
    WHERE state = 'shadow';

CREATE TABLE models (
    task text NOT NULL,
    name text NOT NULL,
    capability text NOT NULL,
    card jsonb NOT NULL,
    seen_at timestamptz NOT NULL,
    fault text,
    offered_at timestamptz,
    fingerprint text NOT NULL,
    release integer[] NOT NULL,
    PRIMARY KEY (task, name)
);

CREATE TABLE stages (
    job_id uuid NOT NULL,
    stage text NOT NULL,
    capability text NOT NULL,
    models jsonb NOT NULL,
    batch_key text NOT NULL,
    state text NOT NULL,
    rank double precision NOT NULL,
    head_start double precision NOT NULL,
    open_needs smallint NOT NULL,
    not_before timestamptz,
    ready_at timestamptz DEFAULT statement_timestamp(),
    attempt smallint DEFAULT 0 NOT NULL,
    releases integer DEFAULT 0 NOT NULL,
    patience_since timestamptz,
    lease_token uuid,
    leased_until timestamptz,
    worker uuid,
    started_at timestamptz,
    finished_at timestamptz,
    seconds double precision,
    result jsonb,
    error jsonb,
    parameters jsonb DEFAULT '{}' NOT NULL,
    rerouted boolean DEFAULT false NOT NULL,
    work text,
    deadline_at timestamptz,
    album uuid,
    digests jsonb DEFAULT '{}' NOT NULL,
    shadows jsonb DEFAULT '{}' NOT NULL,
    CONSTRAINT stages_lease CHECK ((state = 'running') = (lease_token IS NOT NULL)),
    CONSTRAINT stages_open_needs CHECK (open_needs >= 0),
    CONSTRAINT stages_state
        CHECK (state IN ('waiting', 'ready', 'running', 'succeeded', 'failed', 'canceled')),
    PRIMARY KEY (job_id, stage)
) PARTITION BY RANGE (job_id);
CREATE INDEX stages_due ON stages (not_before)
    WHERE (state = 'waiting') AND (not_before IS NOT NULL);
CREATE INDEX stages_rating ON stages (album)
    WHERE album IS NOT NULL AND stage <> 'composite'
        AND state IN ('waiting', 'ready', 'running');
CREATE INDEX stages_ready ON stages (capability, rank) WHERE state = 'ready';
CREATE INDEX stages_running ON stages (job_id, stage) WHERE state = 'running';
CREATE INDEX stages_waiting ON stages (capability) WHERE state = 'waiting';

CREATE TABLE paces (
    capability text PRIMARY KEY,
    runs bigint NOT NULL,
    seconds double precision NOT NULL,
    squares double precision NOT NULL,
    megapixels double precision NOT NULL,
    megapixels_squares double precision NOT NULL,
    products double precision NOT NULL
);

CREATE TABLE pauses (
    capability text PRIMARY KEY,
    paused_at timestamptz NOT NULL
);

CREATE TABLE queue_samples (
    at timestamptz NOT NULL,
    capability text NOT NULL,
    waiting integer NOT NULL,
    ready integer NOT NULL,
    running integer NOT NULL,
    oldest_wait_seconds double precision NOT NULL,
    completed bigint NOT NULL,
    retries bigint NOT NULL,
    releases bigint NOT NULL,
    expiries bigint NOT NULL,
    PRIMARY KEY (at, capability)
);

CREATE TABLE requests (
    tenant text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    claimed_at timestamptz NOT NULL,
    status smallint,
    media_type text,
    location text,
    body text,
    job_id uuid,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX requests_by_age ON requests (claimed_at);
CREATE INDEX requests_by_job ON requests (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE samples (
    at timestamptz PRIMARY KEY,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    canceled bigint NOT NULL,
    webhook_lag_seconds double precision NOT NULL
);

CREATE TABLE shadow_results (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest text NOT NULL,
    against text,
    at timestamptz NOT NULL,
    agreement jsonb,
    error text
);
CREATE INDEX shadow_results_by_age ON shadow_results (at);
CREATE INDEX shadow_results_by_digest ON shadow_results (digest, at);

CREATE TABLE stored_changes (
    tenant text NOT NULL,
    bytes bigint NOT NULL
);
CREATE INDEX stored_changes_by_tenant ON stored_changes (tenant);

CREATE TABLE tenants (
    name text PRIMARY KEY,
    weight double precision DEFAULT 1 NOT NULL,
    finish double precision NOT NULL,
    requests_per_minute integer,
    jobs_waiting integer,
    megapixels_per_day double precision,
    spent_on date,
    spent_megapixels double precision DEFAULT 0 NOT NULL,
    recipe jsonb,
    keep_input_seconds double precision,
    keep_result_seconds double precision,
    keep_nothing boolean DEFAULT false NOT NULL,
    link_seconds integer,
    emotions boolean,
    stored_bytes bigint,
    used_bytes bigint DEFAULT 0 NOT NULL,
    CONSTRAINT tenants_weight CHECK (weight > 0)
);

CREATE TABLE tombstones (
    job_id uuid PRIMARY KEY,
    tenant text NOT NULL,
    deleted_at timestamptz NOT NULL,
    outcome text,
    ended_on date,
    owed double precision,
    megapixels double precision,
    seconds double precision,
    written_in bigint
);
CREATE INDEX tombstones_new ON tombstones (written_in) WHERE written_in IS NOT NULL;
CREATE INDEX tombstones_owing ON tombstones (job_id) WHERE owed IS NOT NULL;

CREATE TABLE uploads (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    key text NOT NULL,
    media_type text NOT NULL,
    length bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    marked_at timestamptz,
    leased_until timestamptz,
    held_since timestamptz,
    CONSTRAINT uploads_key UNIQUE (key)
);
CREATE INDEX uploads_expiring ON uploads (expires_at) WHERE marked_at IS NULL;
CREATE INDEX uploads_marked ON uploads (marked_at) WHERE marked_at IS NOT NULL;

CREATE TABLE usage (
    tenant text NOT NULL,
    day date NOT NULL,
    state text NOT NULL,
    jobs bigint NOT NULL,
    megapixels double precision NOT NULL,
    model_seconds double precision NOT NULL,
    PRIMARY KEY (tenant, day, state)
);
CREATE INDEX usage_by_day ON usage (day);

CREATE TABLE webhook_secrets (
    tenant text NOT NULL,
    webhook text NOT NULL,
    sealed bytea NOT NULL,
    former bytea,
    former_until timestamptz,
    PRIMARY KEY (tenant, webhook)
);

CREATE TABLE webhooks (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    created_at timestamptz NOT NULL,
    disabled text
);
CREATE INDEX webhooks_by_tenant ON webhooks (tenant, id);

CREATE TABLE workers (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    capabilities text[] NOT NULL,
    threads smallint NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    failed jsonb DEFAULT '{}' NOT NULL,
    wanted text[] DEFAULT '{}' NOT NULL,
    state text DEFAULT 'ready' NOT NULL,
    drained_from timestamptz
);
