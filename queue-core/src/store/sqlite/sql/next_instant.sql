-- next_instant: when the next thing falls due by itself: a start, a wait that ends, a lane that
-- opens, a lease that runs out. What has fallen due already is not awaited: whoever asked saw it
-- and left it for a reason.
-- A lease of this boot runs out by the monotonic clock, however far the wall clock was moved.
-- Gives one row; null where nothing lies ahead.
select min(at)
  from (select min(run_at) as at from job where state = 'scheduled' and run_at > :now
        union all
        select min(expires_at)
          from job
         where expires_at > :now
           and expires_at is not null
           and state in ('scheduled', 'pending', 'blocked')
        union all
        select min(shut_until) from lane where shut_until > :now
        union all
        select min(iif(lease_boot = :boot, :now + lease_until - :mono, lease_expires_at))
          from job
         where state = 'in_progress'
           and iif(lease_boot = :boot, lease_until > :mono, lease_expires_at > :now));
