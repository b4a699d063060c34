-- insert_job: add a job's narrow row.
-- Changes one row.
insert into job
  (uid, queue, kind, name, state, wait_reason, priority, position, queued_at, lane, run_at,
   max_attempts, max_stalls, backoff, unique_key, unique_while, concurrency_key, directory,
   waiting_on, held_at, expires_at, created_at)
values
  (:uid, :queue, :kind, :name, :state, :wait_reason, :priority, :position, :queued_at, :lane,
   :run_at, :max_attempts, :max_stalls, :backoff, :unique_key, :unique_while, :concurrency_key,
   :directory, :waiting_on, :held_at, :expires_at, :created_at);
