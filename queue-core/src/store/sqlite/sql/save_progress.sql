-- save_progress: note how far an attempt is.
-- Changes one row, or none when the job does not run under this epoch.
update attempt
   set progress = :progress
 where job = :job
   and epoch = :epoch
   and exists (
         select 1
           from job
          where id = :job
            and state = 'in_progress'
            and epoch = :epoch);
