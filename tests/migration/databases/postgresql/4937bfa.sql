-- See write_databases.py; the programs' commits: 4937bfa
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.artifacts (
    run_id character varying(40) NOT NULL,
    name character varying(100) NOT NULL,
    path text NOT NULL,
    size integer NOT NULL,
    sha256 character varying(64) NOT NULL,
    media_type character varying(100) NOT NULL
);
CREATE TABLE public.checks (
    run_id character varying(40) NOT NULL,
    "position" integer NOT NULL,
    command text NOT NULL,
    exit_code integer,
    duration double precision NOT NULL,
    output text NOT NULL,
    ok integer NOT NULL
);
CREATE TABLE public.comments (
    id integer NOT NULL,
    repository text NOT NULL,
    number integer NOT NULL,
    body text NOT NULL,
    marker text NOT NULL,
    created_at character varying(32) NOT NULL
);
CREATE SEQUENCE public.comments_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.comments_id_seq OWNED BY public.comments.id;
CREATE TABLE public.cursors (
    repository text NOT NULL,
    data text NOT NULL
);
CREATE TABLE public.decisions (
    repository text NOT NULL,
    skill character varying(64) NOT NULL,
    key text NOT NULL,
    trigger character varying(40) NOT NULL,
    verdict character varying(20) NOT NULL,
    cause character varying(20),
    message text NOT NULL,
    at character varying(32) NOT NULL,
    due character varying(32),
    run_id character varying(40) NOT NULL,
    host text NOT NULL,
    expires character varying(32)
);
CREATE TABLE public.events (
    seq integer NOT NULL,
    run_id character varying(40) NOT NULL,
    at character varying(32) NOT NULL,
    phase character varying(20) NOT NULL,
    state character varying(20),
    message text NOT NULL,
    data text NOT NULL
);
CREATE SEQUENCE public.events_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.events_seq_seq OWNED BY public.events.seq;
CREATE TABLE public.heard (
    repository text NOT NULL,
    key text NOT NULL,
    source character varying(10) NOT NULL,
    at character varying(32) NOT NULL
);
CREATE TABLE public.inbox (
    id integer NOT NULL,
    repository text NOT NULL,
    event text NOT NULL
);
CREATE SEQUENCE public.inbox_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.inbox_id_seq OWNED BY public.inbox.id;
CREATE TABLE public.pauses (
    repository text NOT NULL,
    skill character varying(64) NOT NULL,
    reason text NOT NULL,
    at character varying(32) NOT NULL,
    resumed_at character varying(32)
);
CREATE TABLE public.pull_requests (
    repository text NOT NULL,
    number integer NOT NULL,
    state character varying(10) NOT NULL,
    branch text NOT NULL,
    base text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    draft integer NOT NULL,
    labels text NOT NULL,
    reviewers text NOT NULL,
    author text NOT NULL,
    created_at character varying(32) NOT NULL,
    open_branch text
);
CREATE TABLE public.queue (
    run_id character varying(40) NOT NULL,
    repository text NOT NULL,
    skill character varying(64) NOT NULL,
    priority integer NOT NULL,
    not_before character varying(32) NOT NULL,
    work text NOT NULL,
    admitted_at character varying(32),
    owner character varying(80) NOT NULL,
    turn integer NOT NULL,
    stop text NOT NULL,
    told integer NOT NULL
);
CREATE TABLE public.receipts (
    run_id character varying(40) NOT NULL,
    kind character varying(40) NOT NULL,
    key text NOT NULL,
    action character varying(20) NOT NULL,
    url text NOT NULL,
    number integer,
    sha character varying(64) NOT NULL,
    branch text NOT NULL
);
CREATE TABLE public.refusals (
    run_id character varying(40) NOT NULL,
    "position" integer NOT NULL,
    rule character varying(40) NOT NULL,
    subject text NOT NULL,
    message text NOT NULL
);
CREATE TABLE public.runs (
    id character varying(40) NOT NULL,
    repository text NOT NULL,
    skill character varying(64) NOT NULL,
    trigger character varying(40) NOT NULL,
    trigger_key text NOT NULL,
    base_sha character varying(64) NOT NULL,
    state character varying(20) NOT NULL,
    attempt integer NOT NULL,
    created_at character varying(32) NOT NULL,
    started_at character varying(32),
    ended_at character varying(32),
    end_phase character varying(20),
    end_reason character varying(40),
    end_message text NOT NULL,
    end_hint text NOT NULL,
    end_retryable integer NOT NULL,
    cost_usd double precision,
    tokens_in integer NOT NULL,
    tokens_out integer NOT NULL,
    worker text NOT NULL,
    image_digest text NOT NULL,
    harness character varying(64) NOT NULL,
    spec text NOT NULL
);
CREATE TABLE public.schedules (
    repository text NOT NULL,
    line text NOT NULL,
    since character varying(32) NOT NULL
);
CREATE TABLE public.workers (
    id character varying(80) NOT NULL,
    host text NOT NULL,
    place character varying(40) NOT NULL,
    pid integer NOT NULL,
    version character varying(40) NOT NULL,
    capacity integer NOT NULL,
    silence double precision NOT NULL,
    state character varying(20) NOT NULL,
    beats integer NOT NULL,
    asked integer NOT NULL,
    started_at character varying(32) NOT NULL,
    seen_at character varying(32) NOT NULL
);
ALTER TABLE ONLY public.comments ALTER COLUMN id SET DEFAULT nextval('public.comments_id_seq'::regclass);
ALTER TABLE ONLY public.events ALTER COLUMN seq SET DEFAULT nextval('public.events_seq_seq'::regclass);
ALTER TABLE ONLY public.inbox ALTER COLUMN id SET DEFAULT nextval('public.inbox_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0002');
INSERT INTO public.artifacts VALUES ('261121-aaaaaaaa', 'patch', 'runs/x/patch', 12, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'text/x-diff');
INSERT INTO public.checks VALUES ('261121-aaaaaaaa', 0, 'make docs', 0, 1.5, 'ok
fine', 1);
INSERT INTO public.checks VALUES ('261121-aaaaaaaa', 1, 'make slow', NULL, 60, '', 0);
INSERT INTO public.comments VALUES (1, 'acme/app', 1, 'a comment', 'marker', '2026-11-21T12:00:00.000000+00:00');
INSERT INTO public.comments VALUES (2, 'acme/app', 2, 'a comment', 'marker', '2026-11-21T12:00:00.000000+00:00');
INSERT INTO public.cursors VALUES ('acme/app', '{"etag": "W/1"}');
INSERT INTO public.decisions VALUES ('acme/app', 'docs', 'issues:261121-dddddddd', 'issues', 'started', NULL, 'started, as a test says', '2026-11-21T12:20:00.000000+00:00', NULL, '261121-dddddddd', 'here', '2026-11-21T13:20:00.000000+00:00');
INSERT INTO public.decisions VALUES ('acme/app', 'docs', 'issues:261121-eeeeeeee', 'issues', 'started', NULL, 'started, as a test says', '2026-11-21T12:21:00.000000+00:00', NULL, '261121-eeeeeeee', 'here', '2026-11-21T13:21:00.000000+00:00');
INSERT INTO public.decisions VALUES ('acme/app', 'flags', 'issues:261121-ffffffff', 'issues', 'started', NULL, 'started, as a test says', '2026-11-21T12:22:00.000000+00:00', NULL, '261121-ffffffff', 'here', '2026-11-21T13:22:00.000000+00:00');
INSERT INTO public.decisions VALUES ('acme/app', 'flags', 'issues:261121-gggggggg', 'issues', 'started', NULL, 'started, as a test says', '2026-11-21T12:23:00.000000+00:00', NULL, '261121-gggggggg', 'here', '2026-11-21T13:23:00.000000+00:00');
INSERT INTO public.decisions VALUES ('acme/app', 'docs', 'schedule:0 9 * * 1@UTC:2026-11-21T11:00', 'schedule', 'missed', 'window', 'missed, as a test says', '2026-11-21T12:24:00.000000+00:00', '2026-11-21T11:00:00.000000+00:00', '', 'here', NULL);
INSERT INTO public.decisions VALUES ('acme/app', 'docs', 'release:v1', 'release', 'skipped', 'filter', 'skipped, as a test says', '2026-11-21T12:25:00.000000+00:00', NULL, '', 'here', NULL);
INSERT INTO public.events VALUES (1, '261121-aaaaaaaa', '2026-11-21T12:01:00.000000+00:00', 'harness', 'preparing', 'it begins', '{"n": 1}');
INSERT INTO public.events VALUES (2, '261121-aaaaaaaa', '2026-11-21T12:02:00.000000+00:00', 'harness', NULL, 'it''s “read” — ''ünïcode''', '{"n": 2}');
INSERT INTO public.heard VALUES ('acme/app', 'issues:1', 'webhook', '2026-11-21T12:01:00.000000+00:00');
INSERT INTO public.heard VALUES ('acme/app', 'issues:2', 'webhook', '2026-11-21T12:02:00.000000+00:00');
INSERT INTO public.inbox VALUES (1, 'acme/app', '{"kind": "issues", "key": "issues:1", "other_keys": [], "at": "2026-11-21 12:01:00+00:00", "payload": {"n": 1}, "subject": "issue 7", "only": "", "inputs": {}, "delivery": ""}');
INSERT INTO public.inbox VALUES (2, 'acme/app', '{"kind": "issues", "key": "issues:2", "other_keys": [], "at": "2026-11-21 12:02:00+00:00", "payload": {"n": 2}, "subject": "issue 7", "only": "", "inputs": {}, "delivery": ""}');
INSERT INTO public.pauses VALUES ('acme/app', 'docs', 'a person''s reason', '2026-11-21T12:40:00.000000+00:00', '2026-11-21T12:41:00.000000+00:00');
INSERT INTO public.pauses VALUES ('', 'other', 'it failed, I think', '2026-11-21T12:42:00.000000+00:00', NULL);
INSERT INTO public.pauses VALUES ('acme/app', 'flags', 'it failed 3 times in a row, the last time: 100% of the disk is full', '2026-11-21T12:43:00.000000+00:00', NULL);
INSERT INTO public.pull_requests VALUES ('acme/app', 1, 'open', 'bot/docs', 'main', 'docs: new', 'line
line', 1, '["documentation"]', '[]', 'bot', '2026-11-21T12:00:00.000000+00:00', 'bot/docs');
INSERT INTO public.pull_requests VALUES ('acme/app', 2, 'closed', 'bot/old', 'main', 't2', 'line
line', 1, '[]', '[]', 'bot', '2026-11-21T12:00:00.000000+00:00', NULL);
INSERT INTO public.queue VALUES ('261121-dddddddd', 'acme/app', 'docs', 5, '', '{"commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "path": "skills/docs", "key": "issues:261121-dddddddd", "kind": "issues", "at": "2026-11-21T12:20:00+00:00", "due": null, "subject": "issue 7", "event": {"action": "opened"}, "inputs": {}, "continues": "261121-aaaaaaaa"}', NULL, '', 0, '', 0);
INSERT INTO public.queue VALUES ('261121-eeeeeeee', 'acme/app', 'docs', 3, '', '{"commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "path": "skills/docs", "key": "issues:261121-eeeeeeee", "kind": "issues", "at": "2026-11-21T12:21:00+00:00", "due": null, "subject": "issue 7", "event": {"action": "opened"}, "inputs": {}, "continues": "261121-aaaaaaaa"}', NULL, '', 0, '', 0);
INSERT INTO public.queue VALUES ('261121-ffffffff', 'acme/app', 'flags', 7, '', '{"commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "path": "skills/flags", "key": "issues:261121-ffffffff", "kind": "issues", "at": "2026-11-21T12:22:00+00:00", "due": null, "subject": "issue 7", "event": {"action": "opened"}, "inputs": {}, "continues": "261121-aaaaaaaa"}', '2026-11-21T12:31:00.000000+00:00', 'dead', 1, '', 0);
INSERT INTO public.queue VALUES ('261121-gggggggg', 'acme/app', 'flags', 5, '', '{"commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "path": "skills/flags", "key": "issues:261121-gggggggg", "kind": "issues", "at": "2026-11-21T12:23:00+00:00", "due": null, "subject": "issue 7", "event": {"action": "opened"}, "inputs": {}, "continues": "261121-aaaaaaaa"}', '2026-11-21T12:31:00.000000+00:00', 'alive', 1, '', 0);
INSERT INTO public.receipts VALUES ('261121-aaaaaaaa', 'pull_request', 'issue 7', 'created', 'u', 1, 'cccccccccccccccccccccccccccccccccccccccc', 'bot/docs');
INSERT INTO public.refusals VALUES ('261121-bbbbbbbb', 0, 'path_outside', '.github/x', 'outside docs/**');
INSERT INTO public.refusals VALUES ('261121-bbbbbbbb', 1, 'secret', 'a', 'm');
INSERT INTO public.runs VALUES ('261121-aaaaaaaa', 'acme/app', 'docs', 'issues', 'issues:261121-aaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'succeeded', 1, '2026-11-21T12:00:00.000000+00:00', '2026-11-21T12:01:00.000000+00:00', '2026-11-21T12:09:00.000000+00:00', 'publish', NULL, '', '', 0, 0.25, 1200, 34, '', 'sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 'claude-code', '{"base_ref": "main", "prompt": "", "trigger": {"event": {}, "kind": "issues", "subject": "issue 7"}}');
INSERT INTO public.runs VALUES ('261121-bbbbbbbb', 'acme/app', 'docs', 'schedule', 'schedule:261121-bbbbbbbb', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'blocked', 1, '2026-11-21T12:03:00.000000+00:00', '2026-11-21T12:04:00.000000+00:00', '2026-11-21T12:08:00.000000+00:00', 'policy', 'policy_refused', 'a path is outside', 'see `skillrunner show`', 0, NULL, 0, 0, '', '', 'claude-code', '{"base_ref": "main", "prompt": "", "trigger": {"event": {}, "kind": "schedule", "subject": ""}}');
INSERT INTO public.runs VALUES ('261121-cccccccc', 'acme/app', 'docs', 'manual', 'manual:261121-cccccccc', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'running', 1, '2026-11-21T12:05:00.000000+00:00', NULL, NULL, NULL, NULL, '', '', 0, NULL, 0, 0, '', '', 'claude-code', '{"base_ref": "main", "prompt": "", "trigger": {"event": {}, "kind": "manual", "subject": ""}}');
INSERT INTO public.runs VALUES ('261121-dddddddd', 'acme/app', 'docs', 'issues', 'issues:261121-dddddddd', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'queued', 1, '2026-11-21T12:20:00.000000+00:00', NULL, NULL, NULL, NULL, '', '', 0, NULL, 0, 0, '', '', 'claude-code', '{}');
INSERT INTO public.runs VALUES ('261121-eeeeeeee', 'acme/app', 'docs', 'issues', 'issues:261121-eeeeeeee', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'queued', 1, '2026-11-21T12:21:00.000000+00:00', NULL, NULL, NULL, NULL, '', '', 0, NULL, 0, 0, '', '', 'claude-code', '{}');
INSERT INTO public.runs VALUES ('261121-ffffffff', 'acme/app', 'flags', 'issues', 'issues:261121-ffffffff', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'queued', 1, '2026-11-21T12:22:00.000000+00:00', NULL, NULL, NULL, NULL, '', '', 0, NULL, 0, 0, 'dead', '', 'claude-code', '{}');
INSERT INTO public.runs VALUES ('261121-gggggggg', 'acme/app', 'flags', 'issues', 'issues:261121-gggggggg', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'queued', 1, '2026-11-21T12:23:00.000000+00:00', NULL, NULL, NULL, NULL, '', '', 0, NULL, 0, 0, 'alive', '', 'claude-code', '{}');
INSERT INTO public.schedules VALUES ('acme/app', 'docs 0 9 * * 1@UTC', '2026-11-21T11:00:00.000000+00:00');
INSERT INTO public.workers VALUES ('dead', 'here', 'p', 7, '1', 2, 30, 'lost', 0, 0, '2026-11-21T12:30:00.000000+00:00', '2026-11-21T12:30:00.000000+00:00');
INSERT INTO public.workers VALUES ('alive', 'here', 'p', 7, '1', 2, 30, 'running', 1, 1, '2026-11-21T12:30:00.000000+00:00', '2026-11-21T12:32:00.000000+00:00');
SELECT pg_catalog.setval('public.comments_id_seq', 2, true);
SELECT pg_catalog.setval('public.events_seq_seq', 2, true);
SELECT pg_catalog.setval('public.inbox_id_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_pkey PRIMARY KEY (run_id, name);
ALTER TABLE ONLY public.checks
    ADD CONSTRAINT checks_pkey PRIMARY KEY (run_id, "position");
ALTER TABLE ONLY public.comments
    ADD CONSTRAINT comments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.cursors
    ADD CONSTRAINT cursors_pkey PRIMARY KEY (repository);
ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (repository, skill, key);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.heard
    ADD CONSTRAINT heard_pkey PRIMARY KEY (repository, key);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.comments
    ADD CONSTRAINT one_comment_for_a_marker UNIQUE (repository, number, marker);
ALTER TABLE ONLY public.pull_requests
    ADD CONSTRAINT one_open_pull_request_for_a_branch UNIQUE (repository, open_branch);
ALTER TABLE ONLY public.pauses
    ADD CONSTRAINT pauses_pkey PRIMARY KEY (repository, skill);
ALTER TABLE ONLY public.pull_requests
    ADD CONSTRAINT pull_requests_pkey PRIMARY KEY (repository, number);
ALTER TABLE ONLY public.queue
    ADD CONSTRAINT queue_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (run_id, kind, key);
ALTER TABLE ONLY public.refusals
    ADD CONSTRAINT refusals_pkey PRIMARY KEY (run_id, "position");
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (repository, line);
ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);
CREATE INDEX decisions_newest ON public.decisions USING btree (repository, skill, at);
CREATE INDEX decisions_of_run ON public.decisions USING btree (run_id);
CREATE INDEX ix_events_run_id ON public.events USING btree (run_id);
CREATE INDEX ix_heard_at ON public.heard USING btree (at);
CREATE INDEX pull_requests_of_branch ON public.pull_requests USING btree (repository, branch);
CREATE INDEX queue_of_worker ON public.queue USING btree (owner);
CREATE INDEX queue_order ON public.queue USING btree (admitted_at, priority, not_before);
CREATE INDEX queue_untold ON public.queue USING btree (told);
CREATE INDEX runs_ended ON public.runs USING btree (ended_at);
CREATE INDEX runs_in_state ON public.runs USING btree (state, created_at, id);
CREATE INDEX runs_newest ON public.runs USING btree (created_at, id);
CREATE INDEX runs_of_skill ON public.runs USING btree (repository, skill, created_at, id);
CREATE INDEX workers_in_state ON public.workers USING btree (state, seen_at);
ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.checks
    ADD CONSTRAINT checks_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.queue
    ADD CONSTRAINT queue_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.refusals
    ADD CONSTRAINT refusals_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;
