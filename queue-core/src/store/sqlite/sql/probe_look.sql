-- probe_look: what became of an attempt that was sent as a probe.
-- Gives one row, or none when it has ended.
select holder,
       iif(lease_boot = :boot, lease_until > :mono, lease_expires_at > :now) as stands
  from job
 where id = :job
   and epoch = :epoch
   and state = 'in_progress';
