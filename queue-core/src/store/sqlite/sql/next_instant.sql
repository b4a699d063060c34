-- next_instant: when the next thing falls due by itself: a start, a wait that ends, a lane that
-- opens, a lease that runs out.
-- Gives one row; null where nothing lies ahead.
select min(at)
  from (select min(run_at) as at from job where state = 'scheduled'
        union all
        select min(expires_at)
          from job
         where expires_at is not null
           and state in ('scheduled', 'pending', 'blocked')
        union all
        select min(shut_until) from lane where shut_until is not null
        union all
        select min(lease_expires_at) from job where state = 'in_progress');
