-- job_row: a job's narrow row with the limits, gates, ways and budgets of its lane.
-- Gives one row, or none when there is no such job.
select job.id, job.uid, job.queue, job.kind, job.name, job.state, job.wait_reason, job.class,
       job.priority, job.position, job.run_at, job.attempt, job.max_attempts, job.stalls,
       job.max_stalls, job.backoff, job.epoch, job.holder, job.worker, job.lease_expires_at,
       job.unique_key, job.unique_while, job.concurrency_key, job.directory, lane.limits,
       lane.gates, lane.ways, job.way, lane.budgets, job.waiting_on, job.held_at, job.asked_at,
       job.cancel_requested_at, job.expires_at, job.created_at, job.finished_at
  from job
  join lane on lane.id = job.lane
 where job.id = :job;
