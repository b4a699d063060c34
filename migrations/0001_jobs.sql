-- 0001_jobs: queues, jobs, their attempts and everything a worker decides by.
-- Times are integer milliseconds since the Unix epoch unless the name says otherwise.
-- Rows that change often are narrow; what is written once stands apart in job_body.
-- The words of a column that changes often are told apart with `or`: for `in` and more than two
-- words SQLite makes a table of them each time that a statement runs.

-- What the store says of itself.
create table meta (
  key   text primary key,
  value text not null
) strict, without rowid;

-- The end of the line: the place that the next job takes, and when the last one joined. Neither
-- ever falls, however the wall clock is set.
create table line (
  one       integer primary key check (one = 1),
  place     integer not null,
  queued_at integer not null
) strict;
insert into line values (1, 0, 0);

-- A named line of jobs. Ageing of 0 means strict priorities.
create table queue (
  name        text primary key,
  paused_at   integer,
  concurrency integer check (concurrency > 0),
  ageing_ms   integer not null default 3600000 check (ageing_ms >= 0),
  created_at  integer not null
) strict, without rowid;

-- Jobs that may start under the same conditions form a lane, first in, first out. A lane knows
-- the first of its pending jobs and how that one ranks among the heads of all lanes, so that a
-- claim looks at lanes, and a shut lane costs nothing however many jobs stand in it.
create table lane (
  id              integer primary key,
  queue           text not null references queue (name),
  kind            text not null,
  limits          text not null,            -- JSON array of {name, cost}, sorted; '[]' for none
  gates           text not null default '[]', -- JSON array of names, sorted
  ways            text not null default '[]', -- JSON array of {name, gates}, best first
  concurrency_key text not null,            -- '' for none
  directory       text not null,            -- JSON; '' for none
  budgets         text not null default '[]', -- JSON array of names, sorted
  priority        integer not null,
  head            integer,                  -- position of the first pending job, if there is one
  rank            integer,                  -- lower goes first
  shut_at         integer,                  -- a bucket, gate or budget shut it at this time
  shut_until      integer,                  -- until then
  shut_by         text,                     -- the limit
  shut_by_gate    text,                     -- or the gate
  shut_by_budget  text,                     -- or the budget
  check ((head is null) = (rank is null)),
  check ((shut_at is null) = (shut_until is null)),
  check ((shut_at is not null) = ((shut_by is not null) + (shut_by_gate is not null)
                                    + (shut_by_budget is not null))),
  unique (queue, kind, limits, gates, ways, concurrency_key, directory, budgets, priority)
) strict;

-- Which lanes can be claimed from, best first?
create index lane_open on lane (queue, kind, rank, head)
  where head is not null and shut_until is null;
-- Which lanes open again by themselves?
create index lane_shut on lane (shut_until) where shut_until is not null;
-- Which of the lanes that a bucket shut goes first?
create index lane_shut_by on lane (shut_by, rank, head)
  where shut_until is not null and head is not null;
-- Which lanes does a gate shut?
create index lane_shut_by_gate on lane (shut_by_gate) where shut_by_gate is not null;
-- And which might go on in another way, once that one's gate opens?
create index lane_shut_with_ways on lane (id) where shut_by_gate is not null and ways <> '[]';
-- Which lanes does a budget shut?
create index lane_shut_by_budget on lane (shut_by_budget) where shut_by_budget is not null;

create table worker (
  id          integer primary key autoincrement,
  name        text not null,
  host        text not null,
  pid         integer not null,
  boot        text,
  version     text not null,
  concurrency integer not null,
  queues      text not null,                -- JSON array; empty for all
  started_at  integer not null,
  seen_at     integer not null,
  stopped_at  integer,
  shortage    text,                         -- JSON: what it has too little of to start jobs
  short_since integer,
  check ((shortage is null) = (short_since is null))
) strict;

-- Autoincrement: an id is never given out twice, so a late writer cannot hit another job.
create table job (
  id                  integer primary key autoincrement,
  uid                 text not null unique,
  queue               text not null references queue (name),
  kind                text not null,
  name                text,
  state               text not null check (
                        state = 'scheduled' or state = 'pending' or state = 'blocked'
                        or state = 'in_progress' or state = 'completed' or state = 'failed'
                        or state = 'cancelled'),
  wait_reason         text check (
                        wait_reason = 'delay' or wait_reason = 'retry' or wait_reason = 'snooze'
                        or wait_reason = 'limit' or wait_reason = 'window'
                        or wait_reason = 'dependency' or wait_reason = 'hold'
                        or wait_reason = 'answer'),
  class               text check (
                        class = 'exit_code' or class = 'signal' or class = 'timeout'
                        or class = 'idle_timeout' or class = 'oom' or class = 'spawn_failed'
                        or class = 'bad_cwd' or class = 'bad_payload' or class = 'usage'
                        or class = 'lease_lost' or class = 'lease_expired'
                        or class = 'worker_died' or class = 'rebooted' or class = 'cancelled'
                        or class = 'expired' or class = 'interrupted' or class = 'snoozed'
                        or class = 'check_failed' or class = 'limit' or class = 'auth'
                        or class = 'billing' or class = 'refusal' or class = 'context_full'
                        or class = 'session_missing' or class = 'session_busy'
                        or class = 'max_turns' or class = 'over_budget' or class = 'needs_input'
                        or class = 'crash' or class = 'unavailable'),
  priority            integer not null check (priority between -1000 and 1000),
  position            integer not null,     -- first in, first out inside a lane
  queued_at           integer not null,     -- when it joined the line; never falls with position
  keeps_place         integer not null default 0  -- moved while it waited for its time to come:
                        check (keeps_place in (0, 1)),  -- then that leaves it where it is
  lane                integer not null references lane (id),
  run_at              integer,
  attempt             integer not null default 0 check (attempt >= 0),
  max_attempts        integer not null check (max_attempts > 0),
  stalls              integer not null default 0 check (stalls >= 0),
  max_stalls          integer not null check (max_stalls >= 0),
  backoff             text not null,
  way                 text,                         -- the way of the last attempt, if it has any
  epoch               integer not null default 0,   -- rises at every claim, never falls
  holder              integer not null default 0,   -- rises whenever a worker takes the lease
  worker              integer,                      -- not a reference: a job outlives that row
  lease_boot          text,                         -- the boot that lease_until belongs to
  lease_until         integer,                      -- milliseconds of the monotonic clock
  lease_expires_at    integer,                      -- the same on the wall clock
  unique_key          text,
  unique_while        text check (
                        unique_while = 'queued' or unique_while = 'live' or unique_while = 'kept'),
  concurrency_key     text not null default '',     -- '' for none
  directory           text not null default '',     -- JSON: what it has to itself; '' for none
  waiting_on          integer not null default 0 check (waiting_on >= 0),
  held_at             integer,
  asked_at            integer,              -- when it asked what it waits for the answer to
  cancel_requested_at integer,
  expires_at          integer,
  created_at          integer not null,
  finished_at         integer,

  check ((finished_at is not null)
         = (state = 'completed' or state = 'failed' or state = 'cancelled')),
  check ((worker is not null) = (state = 'in_progress')),
  check ((lease_expires_at is not null) = (state = 'in_progress')),
  check ((lease_boot is null) = (lease_until is null)),
  check (lease_boot is null or state = 'in_progress'),
  check (state <> 'scheduled' or (run_at is not null and wait_reason is not null)),
  check (state <> 'blocked'
         or (wait_reason is not null and (wait_reason = 'dependency' or wait_reason = 'hold'
                                          or wait_reason = 'answer'))),
  check (asked_at is null or state = 'blocked'),
  check (state in ('scheduled', 'blocked') or wait_reason is null),
  check (state <> 'in_progress' or epoch > 0),
  check ((unique_key is null) = (unique_while is null))
) strict;

-- What is next in a lane?
create index job_pending on job (lane, position) where state = 'pending';
-- Which jobs of a lane have not ended, and is there any job in it at all?
create index job_lane on job (lane, finished_at);
-- What has fallen due?
create index job_due on job (run_at) where state = 'scheduled';
-- What runs, and whose lease runs out first? Few rows: as many as there are slots.
create index job_running on job (lease_expires_at) where state = 'in_progress';
-- Who takes the places of a concurrency key?
create index job_key on job (concurrency_key)
  where state = 'in_progress' and concurrency_key <> '';
-- Who has a directory to itself?
create index job_directory on job (directory)
  where state = 'in_progress' and directory <> '';
-- What has waited longer than it may?
create index job_expiring on job (expires_at) where expires_at is not null;
-- What ended, oldest first?
create index job_finished on job (state, finished_at) where finished_at is not null;
-- How many are in each state of a queue, and of which kind?
create index job_state on job (queue, state, kind);
create index job_name on job (name) where name is not null;
-- A key has one job at a time, for as long as that job keeps it.
create unique index job_unique on job (unique_key)
  where unique_key is not null
    and (unique_while = 'kept'
         or (finished_at is null and (unique_while = 'live' or state <> 'in_progress')));

create table job_body (
  job     integer primary key references job (id) on delete cascade,
  command text not null,                    -- JSON: argv, shell, script or payload
  cwd     text not null,                    -- JSON
  env     text not null,                    -- JSON object
  options text not null,                    -- JSON object
  result  text,                             -- JSON
  origin  text                              -- JSON: what was there when it first began
) strict;

create table tag (
  job   integer not null references job (id) on delete cascade,
  key   text not null,
  value text not null,
  primary key (job, key)
) strict, without rowid;
create index tag_value on tag (key, value);

-- One try at a job. Its worker is not a reference: history outlives that row.
create table attempt (
  job               integer not null references job (id) on delete cascade,
  epoch             integer not null,
  number            integer not null,
  counted           integer not null default 1 check (counted in (0, 1)),
  worker            integer not null,
  adopted_by        integer,
  way               text,                   -- in which of the ways of its job it is done
  boot              text,
  claimed_at        integer not null,
  started_at        integer,
  pid               integer,
  pid_started       integer,                -- clock ticks since boot
  log               text,
  unenforced        text,
  ended_at          integer,
  class             text check (
                      class = 'exit_code' or class = 'signal' or class = 'timeout'
                      or class = 'idle_timeout' or class = 'oom' or class = 'spawn_failed'
                      or class = 'bad_cwd' or class = 'bad_payload' or class = 'usage'
                      or class = 'lease_lost' or class = 'lease_expired' or class = 'worker_died'
                      or class = 'rebooted' or class = 'cancelled' or class = 'expired'
                      or class = 'interrupted' or class = 'snoozed' or class = 'check_failed'
                      or class = 'limit' or class = 'auth' or class = 'billing'
                      or class = 'refusal' or class = 'context_full' or class = 'session_missing'
                      or class = 'session_busy' or class = 'max_turns' or class = 'over_budget'
                      or class = 'needs_input' or class = 'crash' or class = 'unavailable'),
  exit_code         integer,
  signal            integer,
  message           text,
  limit_met         text,                   -- JSON: the limit that it reported itself
  user_ms           integer,
  system_ms         integer,
  max_rss_kib       integer,
  read_bytes        integer,
  written_bytes     integer,
  memory_peak_bytes integer,
  progress          text,                   -- JSON
  cost_usd          real,
  session_id        text,
  rung              text check (rung = 'resume' or rung = 'fresh' or rung = 'cold'),
  agent             text,                   -- JSON: what was read of an agent's output
  rule              text,                   -- which rule says what it came to
  evidence          text,                   -- and by which words
  proof             text,                   -- JSON: what was found when it said that it is done
  primary key (job, epoch)
) strict, without rowid;
-- What ended since?
create index attempt_ended on attempt (ended_at) where ended_at is not null;
-- A session of an agent has one live holder: two would write into the same conversation.
create unique index attempt_session on attempt (session_id)
  where session_id is not null and ended_at is null;

-- What each attempt used of each model. A row is replaced by what its attempt says later, and
-- outlives job and attempt: neither is a reference.
create table ledger (
  job                integer not null,
  epoch              integer not null,
  model              text not null,
  queue              text not null,
  tags               text not null,         -- JSON object, as they were then
  agent              text not null,
  profile            text,
  began_at           integer not null,      -- when the attempt was claimed: all of it counts then
  input_tokens       integer not null check (input_tokens >= 0),
  output_tokens      integer not null check (output_tokens >= 0),
  cache_read_tokens  integer not null check (cache_read_tokens >= 0),
  cache_write_tokens integer not null check (cache_write_tokens >= 0),
  cost_nano_usd      integer check (cost_nano_usd >= 0),  -- not set: nobody said a price
  primary key (job, epoch, model)
) strict, without rowid;
-- What was used since?
create index ledger_began on ledger (began_at);

-- The most that the agents' jobs of a scope may cost together. What was booked for attempts that
-- began in the span that began at counted_from is summed up here, so that a claim need not: it is
-- what the ledger says.
create table budget (
  name           text primary key,
  queue          text,                      -- only jobs of this queue
  tag_key        text,                      -- only jobs with this label,
  tag_value      text,                      -- and this value of it
  per            text not null check (per in ('day', 'month', 'ever')),
  zone           text not null,             -- whose midnights count
  most_nano_usd  integer check (most_nano_usd > 0),
  most_tokens    integer check (most_tokens > 0),
  hard           integer not null check (hard in (0, 1)),
  created_at     integer not null,
  counted_from   integer not null,
  nano_usd       integer not null check (nano_usd >= 0),
  tokens         integer not null check (tokens >= 0),
  unpriced       integer not null check (unpriced >= 0),
  check (most_nano_usd is not null or most_tokens is not null),
  check (tag_key is not null or tag_value is null)
) strict, without rowid;

create table checkpoint (
  job   integer not null references job (id) on delete cascade,
  name  text not null,
  value blob not null,
  epoch integer not null,
  at    integer not null,
  primary key (job, name)
) strict, without rowid;

-- What a job asked a person, and what it was told. It asks one thing at a time.
create table question (
  job         integer not null references job (id) on delete cascade,
  number      integer not null check (number > 0),
  epoch       integer not null,             -- the attempt that asked
  text        text not null,
  choices     text not null default '[]',   -- JSON array
  asked_at    integer not null,
  answer      text,
  answered_at integer,
  answered_by text check (answered_by in ('person', 'default')),
  is_taken    integer not null default 0 check (is_taken in (0, 1)), -- who asked was told itself
  is_past     integer not null default 0 check (is_past in (0, 1)),  -- requeued since
  primary key (job, number),
  check ((answer is null) = (answered_at is null)
         and (answer is null) = (answered_by is null)),
  check (is_taken = 0 or answer is not null)
) strict, without rowid;
-- What waits for an answer?
create index question_open on question (job) where answer is null and is_past = 0;

-- job comes after parent. The parent is not a reference: were it gone, the job would still wait.
create table dependency (
  job    integer not null references job (id) on delete cascade,
  parent integer not null,
  needs  text not null check (needs in ('success', 'failure', 'any')),
  met    integer not null default 0 check (met in (0, 1)),
  primary key (job, parent)
) strict, without rowid;
create index dependency_parent on dependency (parent);

-- A token bucket. tat_ns is the theoretical arrival time of its next cell, in nanoseconds since
-- the Unix epoch.
create table limit_bucket (
  name       text primary key,
  count      integer not null check (count > 0),
  per_ms     integer not null check (per_ms > 0),
  burst      integer not null check (burst > 0),
  tat_ns     integer,
  spent      integer not null default 0,
  created_at integer not null
) strict, without rowid;

-- How many jobs with a concurrency key may run at once, where that is not one. Who does is
-- counted over the jobs in progress, never kept: nothing can leak.
create table concurrency_key (
  key    text primary key,
  places integer not null check (places > 0)
) strict, without rowid;

-- What all jobs pass that share an account. A gate without a row is open and holds nobody up.
create table gate (
  name         text primary key,
  stand        text not null check (stand in ('open', 'closed', 'half_open')),
  reason       text check (reason in ('limit', 'auth', 'billing', 'breaker', 'person')),
  until        integer,                     -- not set while it waits for a person
  since        integer,                     -- when until was set
  evidence     text,
  set_by       text,
  tries        integer not null default 0 check (tries >= 0),
  probe_job    integer,                     -- the job that tries while it is half open
  probe_epoch  integer,
  probe_holder integer,
  probe_since  integer,
  stagger_ms   integer check (stagger_ms >= 0), -- not set until somebody says it
  last_start   integer,
  passed_at    integer,
  failures     text not null default '[]',  -- JSON array of {job, at}

  check ((stand = 'open') = (reason is null) and (stand = 'open') = (since is null)
         and (stand = 'open') = (set_by is null)),
  check (stand <> 'open' or (until is null and evidence is null)),
  check ((stand = 'half_open') = (probe_job is not null)
         and (probe_job is null) = (probe_epoch is null)
         and (probe_job is null) = (probe_holder is null)
         and (probe_job is null) = (probe_since is null))
) strict, without rowid;
