-- lane_facts: what is known of a job's lane and queue, to tell why it waits.
-- Gives one row.
select lane.shut_until, lane.shut_by, queue.paused_at, queue.concurrency,
       (select count(*)
          from job as other
         where other.queue = queue.name
           and other.state = 'in_progress') as running
  from job
  join lane on lane.id = job.lane
  join queue on queue.name = job.queue
 where job.id = :job;
