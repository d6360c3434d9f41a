-- Tables of the queue: jobs, stages, batches, events, workers, and measured times.
--
-- `stages` is the queue: it holds the stages of unfinished jobs, and of jobs that have just ended. The
-- settlement of an ended job moves them to `ended_stages` (operations/settlement.py), so the table
-- and its indexes stay small however many jobs are kept. Pages of both tables are filled to 70 %, so
-- that updates stay on the page (HOT).
--
-- Some indexes of `jobs` are partial, because a job's row is written often. An update of a column that
-- an index names, in its columns or its condition, adds the row to every index of the table (no HOT
-- update). `jobs_unsuccessful` and `jobs_by_metadata` name no column that only they name and an update
-- changes. `fastupdate` is off, because a worker would pay for emptying the pending list of 4 MB in one
-- transaction.

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    recipe jsonb NOT NULL,
    seed bigint NOT NULL,
    metadata jsonb NOT NULL,
    -- Null until `prepare` has imported the photo from the job's URL or upload. The URL is then
    -- deleted, because a URL can work like a password.
    photo_key text,
    photo_digest text,
    photo_url text,
    upload_id uuid,
    upload_etag text,
    -- The file's name as its sender calls it, without folders; it is shown and never a path.
    photo_name text,
    -- The job that this one was derived from; its stages can reuse the parent's artifacts.
    parent_id uuid,
    -- Users' corrections that replace what the models found: see feedback/corrections.py.
    corrections jsonb DEFAULT '[]' NOT NULL,
    -- How often a stage ran again because its artifacts were gone.
    reopened smallint DEFAULT 0 NOT NULL,
    -- Storage key of the uploaded background, when the recipe uses one.
    background_key text,
    created_at timestamptz NOT NULL,
    -- Estimated cost in model seconds.
    estimated_seconds double precision NOT NULL,
    -- Size of the photo; and the model seconds that the tenant's usage counted for this job before
    -- it was redriven, null for any other.
    megapixels double precision DEFAULT 0 NOT NULL,
    counted_seconds double precision,
    -- How and when the job ended, and when its results expire. Queued or running is derived from its
    -- stages, not stored.
    outcome text,
    finished_at timestamptz,
    expires_at timestamptz,
    error jsonb,
    -- Receives the end event, in addition to the tenant's webhooks.
    webhook_url text,
    -- Retention of its artifacts.
    keep_input_seconds double precision NOT NULL,
    keep_result_seconds double precision NOT NULL,
    -- Whether all artifacts are removed once every output was downloaded; and the outputs that
    -- were.
    keep_nothing boolean DEFAULT false NOT NULL,
    handed_over text[] DEFAULT '{}' NOT NULL,
    -- When its stages' results were deleted.
    expired_at timestamptz,
    -- Deadline; and the recipe changes made to meet it, such as `edge=fast`.
    deadline_at timestamptz,
    degraded text[],
    -- Estimated seconds to the end, before calibration; null when the job does not train the
    -- calibration.  See eta/calibration.py.
    foreseen_p50 double precision,
    foreseen_p90 double precision,
    -- Its batch and the index in it, null for a take; and its rank in the album, null until the
    -- album is ranked.
    batch_id uuid,
    batch_index integer,
    album_rank integer,
    album_terms jsonb,
    -- The shots of its batch that `prepare` composes its photo of: see albums.py. Null: no take.
    take jsonb,
    -- Lifetime of its signed links; null: the setting applies.
    link_seconds integer,
    -- The device key that submitted it, and can read it; null for any other key.
    device_key_id uuid,
    -- The key that submitted it, and can delete it.
    key_id uuid,
    CONSTRAINT jobs_finished CHECK ((outcome IS NULL) = (finished_at IS NULL)),
    CONSTRAINT jobs_outcome CHECK (outcome IN ('succeeded', 'failed', 'canceled')),
    CONSTRAINT jobs_photo
        CHECK ((photo_key IS NOT NULL) OR (photo_url IS NOT NULL) OR (upload_id IS NOT NULL)
            OR (take IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX jobs_by_metadata ON jobs USING gin (metadata jsonb_path_ops)
    WITH (fastupdate = off) WHERE metadata <> '{}';
-- For the result cache, which looks for earlier jobs of a photo: see jobs/result_cache.py.
CREATE INDEX jobs_by_photo ON jobs (tenant, left(photo_digest, 16), id);
CREATE INDEX jobs_by_tenant ON jobs (tenant, id);
CREATE INDEX jobs_by_upload ON jobs (upload_id) WHERE upload_id IS NOT NULL;
CREATE INDEX jobs_deadlines ON jobs (deadline_at)
    WHERE outcome IS NULL AND deadline_at IS NOT NULL;
CREATE INDEX jobs_expiring ON jobs (expires_at)
    WHERE expires_at IS NOT NULL AND expired_at IS NULL;
-- Counts a batch's progress, and finds its unfinished jobs.
CREATE INDEX jobs_of_batch ON jobs (batch_id, outcome) WHERE batch_id IS NOT NULL;
-- Counts a tenant's unfinished jobs when its queue is bounded.
CREATE INDEX jobs_unfinished ON jobs (tenant) WHERE outcome IS NULL;
-- For lists by state and by metadata (jobs/queries.py).
CREATE INDEX jobs_unsuccessful ON jobs (tenant, outcome, id)
    WHERE outcome IN ('failed', 'canceled');

CREATE TABLE stages (
    job_id uuid NOT NULL,
    stage text NOT NULL,
    capability text NOT NULL,
    -- Model of each of the stage's tasks: {"smile": "geometry", "eyes": "iris"}.
    models jsonb NOT NULL,
    -- Parameters of the models, by task: {"segmentation": {"threshold": 0.5}}.
    parameters jsonb DEFAULT '{}' NOT NULL,
    -- Digests of the models' trained weights, by task, for the tasks that have any.
    digests jsonb DEFAULT '{}' NOT NULL,
    -- Whether the stage was rerouted to a stronger model, which happens at most once.
    rerouted boolean DEFAULT false NOT NULL,
    -- Cache key: digest of the stage's inputs besides the photo. Same photo and key, same result.
    work text,
    -- Rows with the same key can share one forward pass.
    batch_key text NOT NULL,
    head_start double precision NOT NULL,
    -- Copy of the job's deadline, so that a claim does not read `jobs`.
    deadline_at timestamptz,
    -- The job's batch, when the batch is an album.
    album uuid,
    -- The log of an update repeats what lies between the first and the last changed column.
    rank double precision NOT NULL,
    not_before timestamptz,
    -- When the stage became ready; meaningless in any other state.
    ready_at timestamptz DEFAULT statement_timestamp(),
    releases integer DEFAULT 0 NOT NULL,
    patience_since timestamptz,
    open_needs smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    state text NOT NULL,
    started_at timestamptz,
    worker uuid,
    lease_token uuid,
    leased_until timestamptz,
    finished_at timestamptz,
    seconds double precision,
    result jsonb,
    error jsonb,
    CONSTRAINT stages_lease CHECK ((state = 'running') = (lease_token IS NOT NULL)),
    CONSTRAINT stages_open_needs CHECK (open_needs >= 0),
    CONSTRAINT stages_state
        CHECK (state IN ('waiting', 'ready', 'running', 'succeeded', 'failed', 'canceled')),
    PRIMARY KEY (job_id, stage)
) WITH (
    -- Dead rows are removed at once: each stage is written about five times.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX stages_due ON stages (not_before)
    WHERE (state = 'waiting') AND (not_before IS NOT NULL);
-- Tells, when a rating ends, whether it was the album's last.
CREATE INDEX stages_rating ON stages (album)
    WHERE album IS NOT NULL AND stage <> 'composite'
        AND state IN ('waiting', 'ready', 'running');
-- A claim reads the head of this index; `ready` holds only stages that can run now.
CREATE INDEX stages_ready ON stages (capability, rank) WHERE state = 'ready';
-- No index contains the lease time, so a heartbeat is a HOT update.
CREATE INDEX stages_running ON stages (job_id, stage) WHERE state = 'running';
-- With `begun_jobs`, for lists of running jobs.
CREATE INDEX stages_begun ON stages (job_id) WHERE stage = 'prepare' AND started_at IS NOT NULL;
-- For the metrics, which count stages that wait for other stages; nothing else reads them.
CREATE INDEX stages_waiting ON stages (capability) WHERE state = 'waiting';

-- The unsettled jobs whose first claim was not of `prepare`, whose result they share.
CREATE TABLE begun_jobs (
    job_id uuid PRIMARY KEY
);

-- The jobs that have ended and are not settled. Not a column of `jobs`, whose rows are long.
CREATE TABLE unsettled_jobs (
    job_id uuid PRIMARY KEY
);

-- The stages of each job that has ended and is settled. Not in the job's row, which is twice as long.
CREATE TABLE ended_stages (
    job_id uuid PRIMARY KEY,
    -- Rows as they were: as JSON they are twice as long. A migration adds a column to `stages` first,
    -- then sets its default: the rows here have null.
    stages stages[] NOT NULL
);

-- Photos that were submitted together. Progress is counted from the rows of `jobs`.
CREATE TABLE batches (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    total integer NOT NULL,
    -- Album: number of best photos to compose; null for a plain batch.  ranked_at: time of the
    -- ranking.
    best integer,
    -- The job that composes the take of an album, and waits for the ranking.
    take_id uuid,
    ranked_at timestamptz,
    created_at timestamptz NOT NULL,
    -- When the last unfinished job ended; null again after a redrive.
    finished_at timestamptz,
    -- When the tenant deleted the batch; its jobs are being deleted.
    deleted_at timestamptz,
    webhook_url text,
    CONSTRAINT batches_best CHECK (best >= 0)
);
CREATE INDEX batches_by_tenant ON batches (tenant, id);
CREATE INDEX batches_deleted ON batches (deleted_at) WHERE deleted_at IS NOT NULL;

-- Batch items without a job: rejected at submission, or deleted later.
CREATE TABLE batch_gaps (
    batch_id uuid NOT NULL,
    index integer NOT NULL,
    job_id uuid,
    -- The outcome that the batch's progress counts it as.
    outcome text NOT NULL,
    error jsonb,
    PRIMARY KEY (batch_id, index)
);

-- Events of jobs: a row has those of one job that a transition writes.  id: increases in the order in
-- which they happened; the numbers since the row before are for the events of stages.
CREATE TABLE events (
    job_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 16 INCREMENT BY 16),
    -- Of the last event, and the state of the job after it.
    type text NOT NULL,
    -- The stages that succeeded, in order, separated by spaces.
    stages text,
    state text NOT NULL,
    at timestamptz NOT NULL,
    -- Transaction id, by which a poll finds rows committed since the last one; `id` does not serve,
    -- as it is drawn before the commit.
    written_in bigint NOT NULL,
    PRIMARY KEY (job_id, id)
);
CREATE INDEX events_new ON events (written_in);

-- Requests with an Idempotency-Key.
CREATE TABLE requests (
    tenant text NOT NULL,
    key text NOT NULL,
    -- SHA-256 of the request.
    fingerprint text NOT NULL,
    claimed_at timestamptz NOT NULL,
    -- The stored response; null while the request is in progress.
    status smallint,
    media_type text,
    location text,
    -- Also null when the job that it describes was deleted.
    body text,
    job_id uuid,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX requests_by_age ON requests (claimed_at);
CREATE INDEX requests_by_job ON requests (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE tombstones (
    job_id uuid PRIMARY KEY,
    tenant text NOT NULL,
    deleted_at timestamptz NOT NULL,
    -- Usage of the deleted job that is not counted yet; null once counted.  See
    -- operations/settlement.py.
    outcome text,
    ended_on date,
    owed double precision,
    megapixels double precision,
    seconds double precision,
    -- Transaction id, as in `events`: clients that wait for the job learn of its deletion at once.
    written_in bigint
);
CREATE INDEX tombstones_new ON tombstones (written_in) WHERE written_in IS NOT NULL;
CREATE INDEX tombstones_owing ON tombstones (job_id) WHERE owed IS NOT NULL;

CREATE TABLE workers (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    capabilities text[] NOT NULL,
    wanted text[] DEFAULT '{}' NOT NULL,
    state text DEFAULT 'ready' NOT NULL,
    -- Wanted capabilities that it cannot serve, with the reason: {"segmentation.people": "weights
    -- file …"}.
    failed jsonb DEFAULT '{}' NOT NULL,
    threads smallint NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    -- from this time on the worker claims no more
    drained_from timestamptz,
    -- Tells the process from all others, so that its machine can see whether it has ended.
    process text
);

-- One row: the sweeps of all workers.
CREATE TABLE sweeper (
    swept_at timestamptz NOT NULL,
    -- Virtual time of fair queueing, in model seconds; see queue/fair_queueing.py.
    virtual_time double precision DEFAULT 0 NOT NULL,
    -- Leases do not expire before this time: after a sweeper outage, workers get the time for one
    -- heartbeat.
    expires_from timestamptz NOT NULL,
    -- When the garbage collector last looked for objects that no row names.
    cleared_at timestamptz NOT NULL
);

CREATE TABLE capabilities (
    name text PRIMARY KEY,
    -- Virtual time of the latest claim.
    mark double precision NOT NULL,
    -- Moving average of one stage's cost in seconds; null before the first run.
    mean_seconds double precision
);

-- Paused capabilities, whose stages no worker claims: see queue/heads.py.
CREATE TABLE pauses (
    capability text PRIMARY KEY,
    paused_at timestamptz NOT NULL
);

-- The snapshot that estimates are made from, in one row: see operations/stored_snapshot.py.
-- Unlogged: a sweep writes it each second, and another one is made after a crash.
CREATE UNLOGGED TABLE queue_snapshots (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    made_at timestamptz NOT NULL,
    -- How long it took to make.
    seconds double precision NOT NULL,
    -- JSON.
    content text NOT NULL
);

-- Running means of stage durations: see eta/stage_times.py.
CREATE TABLE paces (
    capability text PRIMARY KEY,
    runs bigint NOT NULL,
    seconds double precision NOT NULL,
    squares double precision NOT NULL,
    megapixels double precision NOT NULL,
    megapixels_squares double precision NOT NULL,
    products double precision NOT NULL
);

-- Correction factors of ETA estimates, as logarithms: see eta/calibration.py.
CREATE TABLE foresight (
    priority text PRIMARY KEY,
    jobs bigint NOT NULL,
    p50_log double precision NOT NULL,
    p90_log double precision NOT NULL
);

-- Counters that workers report: see operations/counters.py.
CREATE TABLE measures (
    what text NOT NULL,
    subject text NOT NULL,
    count bigint NOT NULL,
    seconds double precision NOT NULL,
    PRIMARY KEY (what, subject)
);

-- One sample each minute: see operations/timeseries.py. Counters only grow; the difference of two
-- samples is the count of the time between them.
CREATE TABLE samples (
    at timestamptz PRIMARY KEY,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    canceled bigint NOT NULL,
    webhook_lag_seconds double precision NOT NULL
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

-- Failed jobs by minute, capability and error code: see operations/operator_actions.py.
CREATE TABLE failures (
    minute timestamptz NOT NULL,
    capability text NOT NULL,
    code text NOT NULL,
    jobs bigint NOT NULL,
    last_job_id uuid NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (minute, capability, code)
);

-- Tables of stored objects: artifacts, uploads, backgrounds, corrections, the bucket's owner.

CREATE TABLE artifacts (
    tenant text NOT NULL,
    key text NOT NULL,
    job_id uuid NOT NULL,
    kind text NOT NULL,
    -- In bytes.
    length bigint DEFAULT 0 NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Once set, the artifact is not served: its object is being removed.
    marked_at timestamptz,
    -- Lease: only one process removes the object before this time.
    leased_until timestamptz,
    -- When it expired while still referenced. It is not served, and retention checks it again at
    -- `expires_at`.
    held_since timestamptz,
    CONSTRAINT artifacts_kind CHECK (kind IN ('photo', 'intermediate', 'result')),
    PRIMARY KEY (tenant, key)
);
CREATE INDEX artifacts_by_job ON artifacts (job_id);
CREATE INDEX artifacts_expiring ON artifacts (expires_at) WHERE marked_at IS NULL;
CREATE INDEX artifacts_marked ON artifacts (marked_at) WHERE marked_at IS NOT NULL;

-- What the rows of artifacts and uploads added to the stored bytes of tenants, and took away, and
-- `tenants.used_bytes` does not include yet. Triggers write it.
CREATE TABLE stored_changes (
    tenant text NOT NULL,
    bytes bigint NOT NULL
);
CREATE INDEX stored_changes_by_tenant ON stored_changes (tenant);

-- References of jobs to artifacts of other jobs: see artifacts/references.py.
CREATE TABLE borrowers (
    tenant text NOT NULL,
    key text NOT NULL,
    job_id uuid NOT NULL,
    PRIMARY KEY (tenant, key, job_id)
);
CREATE INDEX borrowers_by_job ON borrowers (job_id);

CREATE TABLE uploads (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    key text NOT NULL,
    -- The client announces both; the uploaded object must match them.
    media_type text NOT NULL,
    length bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Once set, no job can name the upload: its object is being removed.
    marked_at timestamptz,
    -- Same meaning as in `artifacts`.
    leased_until timestamptz,
    held_since timestamptz,
    CONSTRAINT uploads_key UNIQUE (key)
);
CREATE INDEX uploads_expiring ON uploads (expires_at) WHERE marked_at IS NULL;
CREATE INDEX uploads_marked ON uploads (marked_at) WHERE marked_at IS NOT NULL;

-- Backgrounds that are pictures: see stock.py. Generated backgrounds are code, not rows.
CREATE TABLE backgrounds (
    -- Owner; empty for the operator's backgrounds, which every tenant may use.
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
    -- The folder or bucket that it is synced from, empty when it was added by hand; and the change
    -- stamp there, which shows a change without reading the file.
    origin text NOT NULL,
    stamp text NOT NULL,
    is_logo boolean DEFAULT false NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT backgrounds_key UNIQUE (key),
    PRIMARY KEY (tenant, name)
);

-- Users' corrections of a job's results: see feedback/corrections.py.
CREATE TABLE corrections (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    job_id uuid NOT NULL,
    kind text NOT NULL,
    stage text NOT NULL,
    -- mask, strokes or label; masks and strokes are objects stored under `key`.
    form text NOT NULL,
    key text,
    label jsonb,
    -- Whether the correction may be kept as training material until its job is deleted.
    consent boolean NOT NULL,
    -- The API key that sent it, and the result that it corrects.
    provenance jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    -- Null for a correction that is kept with consent.
    expires_at timestamptz,
    -- When training examples were made of it (only with consent): see feedback/examples.py.
    collected_at timestamptz,
    CONSTRAINT corrections_key CHECK ((key IS NULL) = (form = 'label')),
    CONSTRAINT corrections_kind CHECK (kind IN ('matte', 'label'))
);
CREATE INDEX corrections_by_job ON corrections (job_id, id);
CREATE INDEX corrections_expiring ON corrections (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX corrections_uncollected ON corrections (id)
    WHERE consent AND (collected_at IS NULL);

-- Objects of S3 folders and what became of them: see smart_filter_api.s3_folders.
CREATE TABLE s3_objects (
    bucket text NOT NULL,
    key text NOT NULL,
    -- ETag and time of the bytes that the job has; null without a job, when `code` says why.
    version text NOT NULL,
    tenant text NOT NULL,
    job_id uuid,
    -- Where the result goes, as bucket/key, before its extension is known; and what was written.
    target text NOT NULL,
    result text,
    code text,
    detail text,
    -- pending, written, or failed: a report of the failure was written.
    state text DEFAULT 'pending' NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    -- When a pending one may be written next; meanwhile a process may be writing it.
    due_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, key),
    CONSTRAINT s3_objects_result_key UNIQUE (result),
    CONSTRAINT s3_objects_state CHECK (state IN ('pending', 'written', 'failed'))
);
CREATE INDEX s3_objects_due ON s3_objects (due_at) WHERE state = 'pending';

-- Identity of the database that owns the bucket, in one row: see installation.py.
CREATE TABLE installation (
    id uuid PRIMARY KEY,
    -- The marker object in the bucket holds one of these two; null before the first is written.
    token uuid,
    next_token uuid,
    -- When the database and the marker last agreed.
    confirmed_at timestamptz,
    -- Why the database and the marker disagree; null while they agree.
    fault text
);

-- Tables of tenants: quotas, recipes, usage, keys, browser sessions, webhooks and deliveries.

CREATE TABLE tenants (
    name text PRIMARY KEY,
    weight double precision DEFAULT 1 NOT NULL,
    -- Virtual finish time of its submitted work.
    finish double precision NOT NULL,
    -- Quotas; null: the setting applies, 0: no limit.  See tenants/quotas.py.
    requests_per_minute integer,
    jobs_waiting integer,
    megapixels_per_day double precision,
    stored_bytes bigint,
    -- Megapixels submitted on the UTC day `spent_on`; counted only while that quota is set.
    spent_on date,
    spent_megapixels double precision DEFAULT 0 NOT NULL,
    -- Bytes of its stored objects, without those in `stored_changes`.
    used_bytes bigint DEFAULT 0 NOT NULL,
    -- Default recipe fields, as in a JSON request body.
    recipe jsonb,
    -- Retention of its jobs' artifacts; null: the setting applies.  See artifacts/retention.py.
    keep_input_seconds double precision,
    keep_result_seconds double precision,
    keep_nothing boolean DEFAULT false NOT NULL,
    -- Whether emotions are read in its photos: false, or null: the setting applies.
    emotions boolean,
    -- Lifetime of its signed links; null: the setting applies.
    link_seconds integer,
    CONSTRAINT tenants_weight CHECK (weight > 0)
);

-- Recipes that tenants save under a name: see tenants/saved_recipes.py.
CREATE TABLE recipes (
    tenant text NOT NULL,
    name text NOT NULL,
    -- Recipe fields, as in a JSON request body.
    recipe jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- Usage of tenants by the day on which jobs ended: see tenants/usage.py.
CREATE TABLE usage (
    tenant text NOT NULL,
    day date NOT NULL,
    state text NOT NULL,
    jobs bigint NOT NULL,
    megapixels double precision NOT NULL,
    model_seconds double precision NOT NULL,
    PRIMARY KEY (tenant, day, state)
);
-- For queries over all tenants, which are by day.
CREATE INDEX usage_by_day ON usage (day);

CREATE TABLE keys (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    -- SHA-256 of the key, which is shown once and never stored; random for a key without a secret.
    digest bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    -- For a key of an end user's device: the key that made it, its job limit, and its job count.
    parent uuid,
    max_jobs integer,
    jobs integer DEFAULT 0 NOT NULL,
    -- The key that made it with POST /v1/keys; null for keys of the command line and of devices.
    issued_by uuid,
    -- Whether it is the key of a signed-in person's session, which keys issued with it outlive.
    is_personal boolean DEFAULT false NOT NULL,
    CONSTRAINT keys_digest_key UNIQUE (digest)
);
CREATE INDEX keys_by_issuer ON keys (issued_by) WHERE issued_by IS NOT NULL;
CREATE INDEX keys_by_parent ON keys (parent) WHERE parent IS NOT NULL;
CREATE INDEX keys_by_tenant ON keys (tenant, id);

CREATE TABLE browser_sessions (
    -- SHA-256 of the cookie; the cookie itself is stored nowhere.
    digest bytea PRIMARY KEY,
    -- The session has this key's scopes and ends with the key.
    key_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    -- Accurate to a minute, so that not every page view writes.
    used_at timestamptz NOT NULL,
    -- Absolute expiry: use does not extend it.
    expires_at timestamptz NOT NULL
);
CREATE INDEX browser_sessions_expiring ON browser_sessions (expires_at);

-- Single-use codes: each opens one session and is deleted.
CREATE TABLE browser_codes (
    -- SHA-256 of the code.
    digest bytea PRIMARY KEY,
    key_id uuid NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Endpoints that receive an event when a job ends.
CREATE TABLE webhooks (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    created_at timestamptz NOT NULL,
    -- Why the endpoint is disabled; null while it is enabled.
    disabled text
);
CREATE INDEX webhooks_by_tenant ON webhooks (tenant, id);

-- Signing secrets, sealed.  webhook: an id, or `default` for URLs that jobs name.  former: the
-- previous secret, which also signs until `former_until`.
CREATE TABLE webhook_secrets (
    tenant text NOT NULL,
    webhook text NOT NULL,
    sealed bytea NOT NULL,
    former bytea,
    former_until timestamptz,
    PRIMARY KEY (tenant, webhook)
);

-- Outbox: one row for each event and each webhook that subscribes to it.
CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    -- Increases, as the cursor for paging through the log.
    number bigint GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL,
    webhook text NOT NULL,
    -- URL that the job named; null: the webhook's URL at the time of sending.
    url text,
    -- A lane is a tenant's deliveries to one receiver; they can delay each other.
    lane text NOT NULL,
    -- Null for a test.
    job_id uuid,
    -- The batch, for an event about a batch instead of a job.
    batch_id uuid,
    type text NOT NULL,
    happened_at timestamptz NOT NULL,
    state text DEFAULT 'waiting' NOT NULL,
    due_at timestamptz NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    lease_token uuid,
    leased_until timestamptz,
    finished_at timestamptz,
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

-- Security log: triggers refuse changes of its rows, and deletions for 30 days.  See
-- tenants/audit_log.py.
CREATE TABLE audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz DEFAULT statement_timestamp() NOT NULL,
    -- The operator's tenant for callers whose tenant is not known.
    tenant text NOT NULL,
    event text NOT NULL,
    -- The key that the request had; null for the command line and unknown callers.
    key_id uuid,
    -- The client's network; null for the command line and for several networks.
    network text,
    -- The key, webhook or tenant that the event is about.
    subject text,
    -- Number of refused requests that the row stands for.
    count bigint DEFAULT 1 NOT NULL
);
CREATE INDEX audit_events_by_tenant ON audit_events (tenant, id);
CREATE INDEX audit_events_by_time ON audit_events (at);

-- Delivery log: one row for each attempt.
CREATE TABLE delivery_attempts (
    delivery_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    seconds double precision NOT NULL,
    -- HTTP status of the response; null without a response, and `error` has the reason.
    status smallint,
    answer text,
    error text,
    PRIMARY KEY (delivery_id, id)
);

-- Tables of models: cards, versions of weights and data sets.

-- Model cards that workers publish: see model_registry/published_models.py.
CREATE TABLE models (
    task text NOT NULL,
    name text NOT NULL,
    capability text NOT NULL,
    card jsonb NOT NULL,
    -- Digest of the card, and the code version that published it.
    fingerprint text NOT NULL,
    release integer[] NOT NULL,
    -- Why the publishing process cannot run the model; null when it can.
    fault text,
    seen_at timestamptz NOT NULL,
    -- When a process that can run the model last published it; null when none has.
    offered_at timestamptz,
    PRIMARY KEY (task, name)
);

-- Trained weights of models: see model_registry/weight_versions.py.
CREATE TABLE model_versions (
    digest text PRIMARY KEY,
    task text NOT NULL,
    model text NOT NULL,
    key text NOT NULL,
    state text NOT NULL,
    -- Quality of this version and of the version that was live then, on the same photos.
    metrics jsonb NOT NULL,
    -- The weights that training started from; null: the model's own, or none.
    parent text,
    -- Version of the task's data set that it was trained on, if any; other training data; time.
    data_set integer,
    trained_on text NOT NULL,
    trained_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    moved_at timestamptz NOT NULL,
    -- The weights that it replaced as live; null: the model's own.
    replaced text,
    CONSTRAINT model_versions_state CHECK (state IN ('candidate', 'live', 'retired'))
);
CREATE INDEX model_versions_by_model ON model_versions (task, model);
CREATE UNIQUE INDEX model_versions_live ON model_versions (task, model) WHERE state = 'live';

-- Training examples made of corrections: see feedback/examples.py.
CREATE TABLE data_items (
    task text NOT NULL,
    correction_id uuid NOT NULL,
    job_id uuid NOT NULL,
    tenant text NOT NULL,
    part text NOT NULL,
    -- Digest of the photo, and a 64-bit fingerprint that is similar for photos of one scene.
    photo text NOT NULL,
    fingerprint bigint,
    files jsonb NOT NULL,
    keys text[] NOT NULL,
    -- Number of examples by label: {"huge": 2}.
    counts jsonb NOT NULL,
    provenance jsonb NOT NULL,
    corrected_at timestamptz NOT NULL,
    -- Versions of its task's data set that contain it.
    versions integer[] DEFAULT '{}' NOT NULL,
    CONSTRAINT data_items_part CHECK (part IN ('train', 'frozen')),
    PRIMARY KEY (task, correction_id)
);
CREATE INDEX data_items_by_job ON data_items (job_id);

CREATE TABLE data_sets (
    task text NOT NULL,
    version integer NOT NULL,
    parent integer,
    created_at timestamptz NOT NULL,
    -- Digest of the stored manifest, null before there is one; and the number of removals that the
    -- manifest lists.
    manifest_digest text,
    removals_told integer DEFAULT 0 NOT NULL,
    -- Lease: only one process writes the manifest before this time.
    leased_until timestamptz,
    PRIMARY KEY (task, version)
);

-- Removals from data sets, with their time; the removed content is not recorded.
CREATE TABLE data_removals (
    id uuid NOT NULL,
    task text NOT NULL,
    version integer NOT NULL,
    removed_at timestamptz NOT NULL,
    PRIMARY KEY (id, task, version)
);
CREATE INDEX data_removals_by_set ON data_removals (task, version);
