-- register_worker: add a worker.
-- Changes one row.
insert into worker (name, host, pid, boot, version, concurrency, queues, started_at, seen_at)
values (:name, :host, :pid, :boot, :version, :concurrency, :queues, :now, :now);
