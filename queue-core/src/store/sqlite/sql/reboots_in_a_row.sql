-- reboots_in_a_row: how many of a job's latest ended attempts a reboot ended, one after the
-- other, since it last joined the line.
-- Gives one row.
select count(*)
  from attempt
  join job on job.id = attempt.job
 where attempt.job = :job
   and attempt.class = 'rebooted'
   and attempt.claimed_at >= job.queued_at
   and attempt.epoch > (
         select coalesce(max(other.epoch), 0)
           from attempt as other
          where other.job = :job
            and other.ended_at is not null
            and other.class is not 'rebooted');
