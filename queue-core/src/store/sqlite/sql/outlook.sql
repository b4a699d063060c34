-- outlook: what stands before a worker of these queues and this kind. Takes a JSON array;
-- empty for all.
-- Gives one row. The counts are read from an index alone.
select count(*) filter (where job.state = 'pending' and queue.paused_at is null) as pending,
       count(*) filter (where job.state = 'pending' and queue.paused_at is not null) as paused,
       count(*) filter (where job.state = 'in_progress') as in_progress,
       count(*) filter (where job.state = 'scheduled') as scheduled,
       count(*) filter (where job.state = 'blocked') as blocked,
       (select due.run_at
          from job as due
         where due.state = 'scheduled'
           and due.kind = :kind
           and (:queues = '[]' or due.queue in (select value from json_each(:queues)))
         order by due.run_at
         limit 1) as next_at
  from queue
  join job on job.queue = queue.name
          and job.state in ('pending', 'in_progress', 'scheduled', 'blocked')
          and job.kind = :kind
 where :queues = '[]'
    or queue.name in (select value from json_each(:queues));
