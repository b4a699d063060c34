-- request_cancel: ask the worker of a job to stop it. Asking again changes nothing.
-- Changes one row.
update job
   set cancel_requested_at = coalesce(cancel_requested_at, :now)
 where id = :job;
