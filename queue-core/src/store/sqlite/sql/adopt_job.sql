-- adopt_job: take over a lease that ran out.
-- Changes one row, or none when another worker was faster.
update job
   set holder = holder + 1,
       worker = :worker,
       lease_boot = :boot,
       lease_until = :until,
       lease_expires_at = :expires_at
 where id = :job
   and state = 'in_progress'
   and epoch = :epoch
   and holder = :holder;
