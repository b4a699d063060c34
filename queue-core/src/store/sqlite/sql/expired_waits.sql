-- expired_waits: jobs that waited longer than they may.
select id
  from job
 where expires_at <= :now
   and expires_at is not null
   and state in ('scheduled', 'pending', 'blocked')
 order by expires_at, id
 limit :most;
