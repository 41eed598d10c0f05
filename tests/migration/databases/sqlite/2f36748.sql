-- See write_databases.py; the programs' commits: 2f36748
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE alerts (
	kind VARCHAR(20) NOT NULL, 
	repository TEXT NOT NULL, 
	skill VARCHAR(64) NOT NULL, 
	message TEXT NOT NULL, 
	since VARCHAR(32) NOT NULL, 
	PRIMARY KEY (kind, repository, skill)
);
INSERT INTO "alerts" VALUES('circuit','acme/app','flags','it is paused','2026-11-21T12:43:00.000000+00:00');
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
INSERT INTO "artifacts" VALUES('261121-aaaaaaaa','patch','runs/x/patch',12,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','text/x-diff');
CREATE TABLE awaited (
	repository TEXT NOT NULL, 
	skill VARCHAR(64) NOT NULL, 
	due VARCHAR(32) NOT NULL, 
	PRIMARY KEY (repository, skill)
);
INSERT INTO "awaited" VALUES('acme/app','docs','2026-11-21T13:00:00.000000+00:00');
CREATE TABLE begun (
	id INTEGER NOT NULL, 
	repository TEXT NOT NULL, 
	skill VARCHAR(64) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "begun" VALUES(1,'acme/app','flags','2026-11-21T12:31:00.000000+00:00');
INSERT INTO "begun" VALUES(2,'acme/app','flags','2026-11-21T12:31:00.000000+00:00');
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
INSERT INTO "checks" VALUES('261121-aaaaaaaa',0,'make docs',0,1.5,'ok
fine',1);
INSERT INTO "checks" VALUES('261121-aaaaaaaa',1,'make slow',NULL,60.0,'',0);
CREATE TABLE comments (
	id INTEGER NOT NULL, 
	repository TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	body TEXT NOT NULL, 
	marker TEXT NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT one_comment_for_a_marker UNIQUE (repository, number, marker)
);
INSERT INTO "comments" VALUES(1,'acme/app',1,'a comment','marker','2026-11-21T12:00:00.000000+00:00');
INSERT INTO "comments" VALUES(2,'acme/app',2,'a comment','marker','2026-11-21T12:00:00.000000+00:00');
CREATE TABLE cursors (
	repository TEXT NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (repository)
);
INSERT INTO "cursors" VALUES('acme/app','{"etag": "W/1"}');
CREATE TABLE decisions (
	repository TEXT NOT NULL, 
	skill VARCHAR(64) NOT NULL, 
	"key" TEXT NOT NULL, 
	"trigger" VARCHAR(40) NOT NULL, 
	verdict VARCHAR(20) NOT NULL, 
	cause VARCHAR(20), 
	message TEXT NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	due VARCHAR(32), 
	run_id VARCHAR(40) NOT NULL, 
	continues VARCHAR(40) NOT NULL, 
	host TEXT NOT NULL, 
	expires VARCHAR(32), 
	PRIMARY KEY (repository, skill, "key")
);
INSERT INTO "decisions" VALUES('acme/app','docs','issues:261121-dddddddd','issues','started',NULL,'started, as a test says','2026-11-21T12:20:00.000000+00:00',NULL,'261121-dddddddd','261121-aaaaaaaa','here','2026-11-21T13:20:00.000000+00:00');
INSERT INTO "decisions" VALUES('acme/app','docs','issues:261121-eeeeeeee','issues','started',NULL,'started, as a test says','2026-11-21T12:21:00.000000+00:00',NULL,'261121-eeeeeeee','261121-aaaaaaaa','here','2026-11-21T13:21:00.000000+00:00');
INSERT INTO "decisions" VALUES('acme/app','flags','issues:261121-ffffffff','issues','started',NULL,'started, as a test says','2026-11-21T12:22:00.000000+00:00',NULL,'261121-ffffffff','261121-aaaaaaaa','here','2026-11-21T13:22:00.000000+00:00');
INSERT INTO "decisions" VALUES('acme/app','flags','issues:261121-gggggggg','issues','started',NULL,'started, as a test says','2026-11-21T12:23:00.000000+00:00',NULL,'261121-gggggggg','261121-aaaaaaaa','here','2026-11-21T13:23:00.000000+00:00');
INSERT INTO "decisions" VALUES('acme/app','docs','schedule:0 9 * * 1@UTC:2026-11-21T11:00','schedule','missed','window','missed, as a test says','2026-11-21T12:24:00.000000+00:00','2026-11-21T11:00:00.000000+00:00','','','here',NULL);
INSERT INTO "decisions" VALUES('acme/app','docs','release:v1','release','skipped','filter','skipped, as a test says','2026-11-21T12:25:00.000000+00:00',NULL,'','','here',NULL);
CREATE TABLE events (
	seq INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	phase VARCHAR(20) NOT NULL, 
	state VARCHAR(20), 
	message TEXT NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "events" VALUES(1,'261121-aaaaaaaa','2026-11-21T12:01:00.000000+00:00','harness','preparing','it begins','{"n": 1}');
INSERT INTO "events" VALUES(2,'261121-aaaaaaaa','2026-11-21T12:02:00.000000+00:00','harness',NULL,'it''s “read” — ''ünïcode''','{"n": 2}');
CREATE TABLE heard (
	repository TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	source VARCHAR(10) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (repository, "key")
);
INSERT INTO "heard" VALUES('acme/app','issues:1','webhook','2026-11-21T12:01:00.000000+00:00');
INSERT INTO "heard" VALUES('acme/app','issues:2','webhook','2026-11-21T12:02:00.000000+00:00');
CREATE TABLE inbox (
	id INTEGER NOT NULL, 
	repository TEXT NOT NULL, 
	event TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "inbox" VALUES(1,'acme/app','{"kind": "issues", "key": "issues:1", "other_keys": [], "at": "2026-11-21 12:01:00+00:00", "payload": {"n": 1}, "subject": "issue 7", "only": "", "inputs": {}, "delivery": ""}');
INSERT INTO "inbox" VALUES(2,'acme/app','{"kind": "issues", "key": "issues:2", "other_keys": [], "at": "2026-11-21 12:02:00+00:00", "payload": {"n": 2}, "subject": "issue 7", "only": "", "inputs": {}, "delivery": ""}');
CREATE TABLE messages (
	id INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	text TEXT NOT NULL, 
	stop INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	delivered_at VARCHAR(32), 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "messages" VALUES(1,'261121-cccccccc','look at the tests',0,'2026-11-21T12:51:00.000000+00:00','2026-11-21T12:52:00.000000+00:00');
INSERT INTO "messages" VALUES(2,'261121-cccccccc','enough',1,'2026-11-21T12:53:00.000000+00:00',NULL);
CREATE TABLE pauses (
	repository TEXT NOT NULL, 
	skill VARCHAR(64) NOT NULL, 
	reason TEXT NOT NULL, 
	circuit INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	resumed_at VARCHAR(32), 
	PRIMARY KEY (repository, skill)
);
INSERT INTO "pauses" VALUES('acme/app','docs','a person''s reason',0,'2026-11-21T12:40:00.000000+00:00','2026-11-21T12:41:00.000000+00:00');
INSERT INTO "pauses" VALUES('','other','it failed, I think',0,'2026-11-21T12:42:00.000000+00:00',NULL);
INSERT INTO "pauses" VALUES('acme/app','flags','it failed 3 times in a row, the last time: 100% of the disk is full',1,'2026-11-21T12:43:00.000000+00:00',NULL);
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
INSERT INTO "pull_requests" VALUES('acme/app',1,'open','bot/docs','main','docs: new','line
line',1,'["documentation"]','[]','bot','2026-11-21T12:00:00.000000+00:00','bot/docs');
INSERT INTO "pull_requests" VALUES('acme/app',2,'closed','bot/old','main','t2','line
line',1,'[]','[]','bot','2026-11-21T12:00:00.000000+00:00',NULL);
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
INSERT INTO "queue" VALUES('261121-dddddddd','acme/app','docs',5,'2026-11-21T17:20:00.000000+00:00','','{"commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "path": "skills/docs", "key": "issues:261121-dddddddd", "kind": "issues", "at": "2026-11-21T12:20:00+00:00", "due": null, "subject": "issue 7", "event": {"action": "opened"}, "inputs": {}, "continues": "261121-aaaaaaaa"}',NULL,'',0,'',0);
INSERT INTO "queue" VALUES('261121-eeeeeeee','acme/app','docs',3,'2026-11-21T15:21:00.000000+00:00','','{"commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "path": "skills/docs", "key": "issues:261121-eeeeeeee", "kind": "issues", "at": "2026-11-21T12:21:00+00:00", "due": null, "subject": "issue 7", "event": {"action": "opened"}, "inputs": {}, "continues": "261121-aaaaaaaa"}',NULL,'',0,'',0);
INSERT INTO "queue" VALUES('261121-ffffffff','acme/app','flags',7,'2026-11-21T19:22:00.000000+00:00','','{"commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "path": "skills/flags", "key": "issues:261121-ffffffff", "kind": "issues", "at": "2026-11-21T12:22:00+00:00", "due": null, "subject": "issue 7", "event": {"action": "opened"}, "inputs": {}, "continues": "261121-aaaaaaaa"}','2026-11-21T12:31:00.000000+00:00','dead',1,'',0);
INSERT INTO "queue" VALUES('261121-gggggggg','acme/app','flags',5,'2026-11-21T17:23:00.000000+00:00','','{"commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "path": "skills/flags", "key": "issues:261121-gggggggg", "kind": "issues", "at": "2026-11-21T12:23:00+00:00", "due": null, "subject": "issue 7", "event": {"action": "opened"}, "inputs": {}, "continues": "261121-aaaaaaaa"}','2026-11-21T12:31:00.000000+00:00','alive',1,'',0);
CREATE TABLE receipts (
	run_id VARCHAR(40) NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	"key" TEXT NOT NULL, 
	action VARCHAR(20) NOT NULL, 
	url TEXT NOT NULL, 
	number INTEGER, 
	sha VARCHAR(64) NOT NULL, 
	branch TEXT NOT NULL, 
	PRIMARY KEY (run_id, kind, "key"), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "receipts" VALUES('261121-aaaaaaaa','pull_request','issue 7','created','u',1,'cccccccccccccccccccccccccccccccccccccccc','bot/docs');
CREATE TABLE refusals (
	run_id VARCHAR(40) NOT NULL, 
	position INTEGER NOT NULL, 
	rule VARCHAR(40) NOT NULL, 
	subject TEXT NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (run_id, position), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "refusals" VALUES('261121-bbbbbbbb',0,'path_outside','.github/x','outside docs/**');
INSERT INTO "refusals" VALUES('261121-bbbbbbbb',1,'secret','a','m');
CREATE TABLE runs (
	id VARCHAR(40) NOT NULL, 
	repository TEXT NOT NULL, 
	skill VARCHAR(64) NOT NULL, 
	"trigger" VARCHAR(40) NOT NULL, 
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
	tokens_in INTEGER NOT NULL, 
	tokens_out INTEGER NOT NULL, 
	worker TEXT NOT NULL, 
	image_digest TEXT NOT NULL, 
	harness VARCHAR(64) NOT NULL, 
	spec TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "runs" VALUES('261121-aaaaaaaa','acme/app','docs','issues','issues:261121-aaaaaaaa','issue 7','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','succeeded',1,'2026-11-21T12:00:00.000000+00:00','2026-11-21T12:01:00.000000+00:00','2026-11-21T12:09:00.000000+00:00','publish',NULL,'','',0,0.25,1200,34,'','sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','claude-code','{"base_ref": "main", "prompt": "", "trigger": {"event": {}, "kind": "issues", "subject": "issue 7"}}');
INSERT INTO "runs" VALUES('261121-bbbbbbbb','acme/app','docs','schedule','schedule:261121-bbbbbbbb','','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','blocked',1,'2026-11-21T12:03:00.000000+00:00','2026-11-21T12:04:00.000000+00:00','2026-11-21T12:08:00.000000+00:00','policy','policy_refused','a path is outside','see `skillrunner show`',0,NULL,0,0,'','','claude-code','{"base_ref": "main", "prompt": "", "trigger": {"event": {}, "kind": "schedule", "subject": ""}}');
INSERT INTO "runs" VALUES('261121-cccccccc','acme/app','docs','manual','manual:261121-cccccccc','','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','running',1,'2026-11-21T12:05:00.000000+00:00',NULL,NULL,NULL,NULL,'','',0,NULL,0,0,'','','claude-code','{"base_ref": "main", "prompt": "", "trigger": {"event": {}, "kind": "manual", "subject": ""}}');
INSERT INTO "runs" VALUES('261121-dddddddd','acme/app','docs','issues','issues:261121-dddddddd','issue 7','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','queued',1,'2026-11-21T12:20:00.000000+00:00',NULL,NULL,NULL,NULL,'','',0,NULL,0,0,'','','claude-code','{}');
INSERT INTO "runs" VALUES('261121-eeeeeeee','acme/app','docs','issues','issues:261121-eeeeeeee','issue 7','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','queued',1,'2026-11-21T12:21:00.000000+00:00',NULL,NULL,NULL,NULL,'','',0,NULL,0,0,'','','claude-code','{}');
INSERT INTO "runs" VALUES('261121-ffffffff','acme/app','flags','issues','issues:261121-ffffffff','issue 7','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','queued',1,'2026-11-21T12:22:00.000000+00:00',NULL,NULL,NULL,NULL,'','',0,NULL,0,0,'dead','','claude-code','{}');
INSERT INTO "runs" VALUES('261121-gggggggg','acme/app','flags','issues','issues:261121-gggggggg','issue 7','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','queued',1,'2026-11-21T12:23:00.000000+00:00',NULL,NULL,NULL,NULL,'','',0,NULL,0,0,'alive','','claude-code','{}');
CREATE TABLE schedules (
	repository TEXT NOT NULL, 
	line TEXT NOT NULL, 
	since VARCHAR(32) NOT NULL, 
	PRIMARY KEY (repository, line)
);
INSERT INTO "schedules" VALUES('acme/app','docs 0 9 * * 1@UTC','2026-11-21T11:00:00.000000+00:00');
CREATE TABLE watched (
	repository TEXT NOT NULL, 
	read_at VARCHAR(32) NOT NULL, 
	fault TEXT NOT NULL, 
	worker VARCHAR(80) NOT NULL, 
	PRIMARY KEY (repository)
);
INSERT INTO "watched" VALUES('acme/app','2026-11-21T12:50:00.000000+00:00','','alive');
INSERT INTO "watched" VALUES('acme/gone','2026-11-21T12:50:00.000000+00:00','it is not there','alive');
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
INSERT INTO "workers" VALUES('dead','here','p',7,'1',2,30.0,'lost',0,0,'2026-11-21T12:30:00.000000+00:00','2026-11-21T12:30:00.000000+00:00');
INSERT INTO "workers" VALUES('alive','here','p',7,'1',2,30.0,'running',1,1,'2026-11-21T12:30:00.000000+00:00','2026-11-21T12:32:00.000000+00:00');
CREATE INDEX runs_ended ON runs (ended_at);
CREATE INDEX runs_newest ON runs (created_at, id);
CREATE INDEX runs_of_skill ON runs (repository, skill, created_at, id);
CREATE INDEX runs_of_subject ON runs (repository, skill, subject, created_at);
CREATE INDEX runs_in_state ON runs (state, created_at, id);
CREATE INDEX pull_requests_of_branch ON pull_requests (repository, branch);
CREATE INDEX decisions_of_run ON decisions (run_id);
CREATE INDEX decisions_newest ON decisions (repository, skill, at);
CREATE INDEX ix_begun_at ON begun (at);
CREATE INDEX ix_awaited_due ON awaited (due);
CREATE INDEX ix_heard_at ON heard (at);
CREATE INDEX workers_in_state ON workers (state, seen_at);
CREATE INDEX ix_events_run_id ON events (run_id);
CREATE INDEX ix_messages_run_id ON messages (run_id);
CREATE INDEX queue_of_worker ON queue (owner);
CREATE INDEX queue_untold ON queue (told);
CREATE INDEX queue_order ON queue (admitted_at, rank, run_id);
COMMIT;
