-- move_job: put a job that no worker holds, or that its worker has let go, where it belongs.
-- Changes one row; the caller has read the state in this transaction.
update job
   set state = :state,
       wait_reason = :wait_reason,
       class = :class,
       run_at = :run_at,
       attempt = :attempt,
       stalls = :stalls,
       held_at = :held_at,
       asked_at = :asked_at,
       cancel_requested_at = :cancel_requested_at,
       expires_at = :expires_at,
       finished_at = :finished_at,
       unique_key = :unique_key,
       unique_while = iif(:unique_key is null, null, unique_while),
       worker = null,
       lease_boot = null,
       lease_until = null,
       lease_expires_at = null
 where id = :job;
