-- claim_job: give a pending job to a worker. Epoch and holder rise; the attempt counts.
-- Changes one row.
update job
   set state = 'in_progress',
       epoch = epoch + 1,
       holder = holder + 1,
       attempt = attempt + 1,
       way = :way,
       worker = :worker,
       lease_boot = :boot,
       lease_until = :until,
       lease_expires_at = :expires_at,
       run_at = null,
       expires_at = null
 where id = :job
   and state = 'pending';
