-- extend_leases: extend the leases of a worker that still stand.
-- Takes a JSON array of [job, epoch, holder]; gives and changes one row for each that stands. A
-- lease that ran out but that nobody took over is extended.
update job
   set lease_boot = :boot,
       lease_until = :until,
       lease_expires_at = :expires_at
  from json_each(:fences) as fence
 where job.id = fence.value ->> 0
   and job.state = 'in_progress'
   and job.epoch = fence.value ->> 1
   and job.holder = fence.value ->> 2
returning job.id, job.epoch, job.holder;
