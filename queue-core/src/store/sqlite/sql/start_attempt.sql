-- start_attempt: note the process of an attempt, if its lease still stands.
-- Changes one row, or none when the lease is lost.
update attempt
   set started_at = :started_at,
       pid = :pid,
       pid_started = :pid_started,
       log = :log,
       unenforced = :unenforced
 where job = :job
   and epoch = :epoch
   and exists (
         select 1
           from job
          where id = :job
            and state = 'in_progress'
            and epoch = :epoch
            and holder = :holder);
