-- fail_unreadable: end a job whose row cannot be read, whatever it was doing.
-- Changes one row, or none when the job has ended before. What could not be read is made readable,
-- or the job could not be shown or requeued either.
update job
   set state = 'failed',
       class = 'bad_payload',
       backoff = :backoff,
       attempt = min(attempt, max_attempts),
       wait_reason = null,
       run_at = null,
       held_at = null,
       asked_at = null,
       expires_at = null,
       finished_at = :now,
       worker = null,
       lease_boot = null,
       lease_until = null,
       lease_expires_at = null
 where id = :job
   and finished_at is null;
