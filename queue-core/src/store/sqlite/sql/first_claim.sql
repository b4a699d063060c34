-- first_claim: when the first attempt of a job since its last requeue was claimed.
-- A requeue counts attempts from 1 again; so does a try that did not count, but that one says so.
-- Gives one row, or none when it was not claimed since.
select first.claimed_at
  from attempt as first
  join job on job.id = first.job
 where first.job = :job
   and first.number = 1
   and (job.attempt > 0
        or (select counted
              from attempt
             where job = :job
             order by epoch desc
             limit 1) = 0)
   and not exists (
         select 1
           from attempt as before
          where before.job = :job
            and before.epoch = (
                  select max(epoch)
                    from attempt
                   where job = :job
                     and epoch < first.epoch)
            and before.number = 1
            and before.counted = 0)
 order by first.epoch desc
 limit 1;
