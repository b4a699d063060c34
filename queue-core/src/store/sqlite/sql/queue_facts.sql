-- queue_facts: what is known of a job's queue, to tell why it waits.
-- Gives one row.
select queue.paused_at, queue.concurrency,
       (select count(*)
          from job as other
         where other.queue = queue.name
           and other.state = 'in_progress') as running
  from job
  join queue on queue.name = job.queue
 where job.id = :job;
