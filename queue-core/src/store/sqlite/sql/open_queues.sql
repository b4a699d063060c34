-- open_queues: the queues that may be claimed from, and how many more of their jobs may run.
-- Takes a JSON array of names; empty for all.
select name,
       concurrency - (select count(*)
                        from job
                       where job.queue = queue.name
                         and job.state = 'in_progress') as room
  from queue
 where paused_at is null
   and (:queues = '[]' or name in (select value from json_each(:queues)))
 order by name;
