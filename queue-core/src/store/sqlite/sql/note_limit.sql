-- note_limit: note that an attempt that runs has met a limit, as it says itself.
-- Changes one row, or none when it does not run under this epoch any more.
update attempt
   set limit_met = :met
 where job = :job
   and epoch = :epoch
   and ended_at is null
   and exists (
         select 1
           from job
          where id = :job
            and epoch = :epoch
            and state = 'in_progress');
