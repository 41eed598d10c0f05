CREATE TABLE alerts (
	kind VARCHAR(20) NOT NULL,
	repository TEXT NOT NULL,
	skill TEXT NOT NULL,
	host TEXT NOT NULL,
	message TEXT NOT NULL,
	since VARCHAR(32) NOT NULL,
	PRIMARY KEY (kind, repository, skill, host)
);
CREATE TABLE approvals (
	run_id VARCHAR(40) NOT NULL,
	attempt INTEGER NOT NULL,
	digest VARCHAR(64) NOT NULL,
	target TEXT NOT NULL,
	why TEXT NOT NULL,
	asked_at VARCHAR(32) NOT NULL,
	expires_at VARCHAR(32) NOT NULL,
	verdict VARCHAR(10) NOT NULL,
	who TEXT NOT NULL,
	via TEXT NOT NULL,
	reason TEXT NOT NULL,
	decided_at VARCHAR(32),
	proposal TEXT NOT NULL,
	PRIMARY KEY (run_id, attempt),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX approvals_waiting ON approvals (verdict, expires_at);
CREATE TABLE artifacts (
	run_id VARCHAR(40) NOT NULL,
	name VARCHAR(100) NOT NULL,
	path TEXT NOT NULL,
	size INTEGER NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	media_type VARCHAR(100) NOT NULL,
	PRIMARY KEY (run_id, name),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE awaited (
	repository TEXT NOT NULL,
	skill VARCHAR(64) NOT NULL,
	due VARCHAR(32) NOT NULL,
	PRIMARY KEY (repository, skill)
);
CREATE INDEX ix_awaited_due ON awaited (due);
CREATE TABLE begun (
	id SERIAL NOT NULL,
	repository TEXT NOT NULL,
	skill VARCHAR(64) NOT NULL,
	at VARCHAR(32) NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX ix_begun_at ON begun (at);
CREATE TABLE checks (
	run_id VARCHAR(40) NOT NULL,
	position INTEGER NOT NULL,
	command TEXT NOT NULL,
	exit_code INTEGER,
	duration FLOAT NOT NULL,
	output TEXT NOT NULL,
	ok INTEGER NOT NULL,
	PRIMARY KEY (run_id, position),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE comments (
	id SERIAL NOT NULL,
	repository TEXT NOT NULL,
	number INTEGER NOT NULL,
	body TEXT NOT NULL,
	marker TEXT NOT NULL,
	created_at VARCHAR(32) NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT one_comment_for_a_marker UNIQUE (repository, number, marker)
);
CREATE TABLE cursors (
	repository TEXT NOT NULL,
	data TEXT NOT NULL,
	PRIMARY KEY (repository)
);
CREATE TABLE decisions (
	repository TEXT NOT NULL,
	skill VARCHAR(64) NOT NULL,
	key TEXT NOT NULL,
	trigger VARCHAR(40) NOT NULL,
	verdict VARCHAR(20) NOT NULL,
	cause VARCHAR(20),
	message TEXT NOT NULL,
	at VARCHAR(32) NOT NULL,
	due VARCHAR(32),
	run_id VARCHAR(40) NOT NULL,
	continues VARCHAR(40) NOT NULL,
	host TEXT NOT NULL,
	expires VARCHAR(32),
	subject_key TEXT NOT NULL,
	actor TEXT NOT NULL,
	PRIMARY KEY (repository, skill, key)
);
CREATE INDEX decisions_newest ON decisions (repository, skill, at);
CREATE INDEX decisions_of_run ON decisions (run_id);
CREATE TABLE events (
	seq SERIAL NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	at VARCHAR(32) NOT NULL,
	phase VARCHAR(20) NOT NULL,
	state VARCHAR(20),
	message TEXT NOT NULL,
	data TEXT NOT NULL,
	PRIMARY KEY (seq),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX ix_events_run_id ON events (run_id);
CREATE TABLE forge_items (
	id SERIAL NOT NULL,
	repository TEXT NOT NULL,
	kind VARCHAR(40) NOT NULL,
	parent TEXT NOT NULL,
	number INTEGER,
	data TEXT NOT NULL,
	created_at VARCHAR(32) NOT NULL,
	updated_at VARCHAR(32) NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT one_item_for_a_number UNIQUE (repository, number)
);
CREATE INDEX forge_items_of_kind ON forge_items (repository, kind, parent, id);
CREATE TABLE heard (
	repository TEXT NOT NULL,
	key TEXT NOT NULL,
	source VARCHAR(10) NOT NULL,
	at VARCHAR(32) NOT NULL,
	PRIMARY KEY (repository, key)
);
CREATE INDEX ix_heard_at ON heard (at);
CREATE TABLE inbox (
	id SERIAL NOT NULL,
	repository TEXT NOT NULL,
	event TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE messages (
	id SERIAL NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	text TEXT NOT NULL,
	act VARCHAR(10) NOT NULL,
	at VARCHAR(32) NOT NULL,
	delivered_at VARCHAR(32),
	PRIMARY KEY (id),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX ix_messages_run_id ON messages (run_id);
CREATE TABLE notes (
	id SERIAL NOT NULL,
	repository TEXT NOT NULL,
	skill VARCHAR(64) NOT NULL,
	text TEXT NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	at VARCHAR(32) NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX notes_of_skill ON notes (repository, skill, id);
CREATE TABLE pauses (
	repository TEXT NOT NULL,
	skill VARCHAR(64) NOT NULL,
	reason TEXT NOT NULL,
	circuit INTEGER NOT NULL,
	who TEXT NOT NULL,
	at VARCHAR(32) NOT NULL,
	resumed_at VARCHAR(32),
	PRIMARY KEY (repository, skill)
);
CREATE TABLE pull_requests (
	repository TEXT NOT NULL,
	number INTEGER NOT NULL,
	state VARCHAR(10) NOT NULL,
	branch TEXT NOT NULL,
	base TEXT NOT NULL,
	title TEXT NOT NULL,
	body TEXT NOT NULL,
	draft INTEGER NOT NULL,
	labels TEXT NOT NULL,
	reviewers TEXT NOT NULL,
	author TEXT NOT NULL,
	created_at VARCHAR(32) NOT NULL,
	open_branch TEXT,
	PRIMARY KEY (repository, number),
	CONSTRAINT one_open_pull_request_for_a_branch UNIQUE (repository, open_branch)
);
CREATE INDEX pull_requests_of_branch ON pull_requests (repository, branch);
CREATE TABLE queue (
	run_id VARCHAR(40) NOT NULL,
	repository TEXT NOT NULL,
	skill VARCHAR(64) NOT NULL,
	priority INTEGER NOT NULL,
	rank VARCHAR(32) NOT NULL,
	not_before VARCHAR(32) NOT NULL,
	work TEXT NOT NULL,
	admitted_at VARCHAR(32),
	owner VARCHAR(80) NOT NULL,
	turn INTEGER NOT NULL,
	stop TEXT NOT NULL,
	told INTEGER NOT NULL,
	PRIMARY KEY (run_id),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX queue_of_worker ON queue (owner);
CREATE INDEX queue_order ON queue (admitted_at, rank, run_id);
CREATE INDEX queue_untold ON queue (told);
CREATE TABLE receipts (
	run_id VARCHAR(40) NOT NULL,
	kind VARCHAR(40) NOT NULL,
	key TEXT NOT NULL,
	action VARCHAR(20) NOT NULL,
	url TEXT NOT NULL,
	number INTEGER,
	sha VARCHAR(64) NOT NULL,
	branch TEXT NOT NULL,
	item TEXT,
	PRIMARY KEY (run_id, kind, key),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE refusals (
	run_id VARCHAR(40) NOT NULL,
	position INTEGER NOT NULL,
	rule VARCHAR(40) NOT NULL,
	subject TEXT NOT NULL,
	message TEXT NOT NULL,
	PRIMARY KEY (run_id, position),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE runs (
	id VARCHAR(40) NOT NULL,
	repository TEXT NOT NULL,
	skill VARCHAR(64) NOT NULL,
	trigger VARCHAR(40) NOT NULL,
	trigger_key TEXT NOT NULL,
	subject TEXT NOT NULL,
	base_sha VARCHAR(64) NOT NULL,
	state VARCHAR(20) NOT NULL,
	attempt INTEGER NOT NULL,
	created_at VARCHAR(32) NOT NULL,
	started_at VARCHAR(32),
	ended_at VARCHAR(32),
	end_phase VARCHAR(20),
	end_reason VARCHAR(40),
	end_message TEXT NOT NULL,
	end_hint TEXT NOT NULL,
	end_retryable INTEGER NOT NULL,
	cost_usd FLOAT,
	cost_at_least FLOAT,
	tokens_in INTEGER NOT NULL,
	tokens_out INTEGER NOT NULL,
	worker TEXT NOT NULL,
	image_digest TEXT NOT NULL,
	harness VARCHAR(64) NOT NULL,
	spec TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX runs_ended ON runs (ended_at);
CREATE INDEX runs_in_state ON runs (state, created_at, id);
CREATE INDEX runs_newest ON runs (created_at, id);
CREATE INDEX runs_of_skill ON runs (repository, skill, created_at, id);
CREATE INDEX runs_of_subject ON runs (repository, skill, subject, created_at);
CREATE TABLE schedules (
	repository TEXT NOT NULL,
	line TEXT NOT NULL,
	since VARCHAR(32) NOT NULL,
	PRIMARY KEY (repository, line)
);
CREATE TABLE skills (
	repository TEXT NOT NULL,
	skill VARCHAR(64) NOT NULL,
	triggers TEXT NOT NULL,
	enabled INTEGER NOT NULL,
	PRIMARY KEY (repository, skill)
);
CREATE TABLE troubles (
	kind VARCHAR(20) NOT NULL,
	place VARCHAR(40) NOT NULL,
	repository TEXT NOT NULL,
	subject TEXT NOT NULL,
	host TEXT NOT NULL,
	message TEXT NOT NULL,
	since VARCHAR(32) NOT NULL,
	PRIMARY KEY (kind, place, repository, subject)
);
CREATE TABLE watched (
	repository TEXT NOT NULL,
	read_at VARCHAR(32) NOT NULL,
	fault TEXT NOT NULL,
	worker VARCHAR(80) NOT NULL,
	next_try VARCHAR(32),
	PRIMARY KEY (repository)
);
CREATE TABLE workers (
	id VARCHAR(80) NOT NULL,
	host TEXT NOT NULL,
	place VARCHAR(40) NOT NULL,
	pid INTEGER NOT NULL,
	version VARCHAR(40) NOT NULL,
	capacity INTEGER NOT NULL,
	silence FLOAT NOT NULL,
	state VARCHAR(20) NOT NULL,
	beats INTEGER NOT NULL,
	asked INTEGER NOT NULL,
	started_at VARCHAR(32) NOT NULL,
	seen_at VARCHAR(32) NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX workers_in_state ON workers (state, seen_at);
