-- expired_leases: jobs whose lease ran out, or whose worker is dead, those that ran out first in
-- front. Takes the dead workers as a JSON array.
-- A lease of this boot is judged by the monotonic clock, which stands still while the machine
-- sleeps and cannot be set; one of another boot is void; where either side has no boot id the
-- wall clock has to do.
select job.id, job.epoch, job.holder, job.attempt,
       job.lease_boot is not null and :boot is not null and job.lease_boot <> :boot as rebooted,
       (:dead <> '[]' and job.worker in (select value from json_each(:dead))) as died,
       attempt.boot, attempt.pid, attempt.pid_started, attempt.started_at, attempt.log,
       attempt.unenforced
  from job
  left join attempt on attempt.job = job.id and attempt.epoch = job.epoch
 where job.state = 'in_progress'
   and ((:dead <> '[]' and job.worker in (select value from json_each(:dead)))
        or case
             when job.lease_boot is not null and :boot is not null
             then job.lease_boot <> :boot or job.lease_until <= :mono
             else job.lease_expires_at <= :now
           end)
 order by job.lease_expires_at, job.id
 limit :most;
