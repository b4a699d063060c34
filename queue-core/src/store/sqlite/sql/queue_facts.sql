-- queue_facts: what is known of a job's queue and lane, to tell why it waits.
-- Gives one row.
select queue.paused_at, queue.concurrency, lane.shut_by, lane.shut_until,
       (select count(*)
          from job as other
         where other.queue = queue.name
           and other.state = 'in_progress') as running
  from job
  join queue on queue.name = job.queue
  join lane on lane.id = job.lane
 where job.id = :job;
