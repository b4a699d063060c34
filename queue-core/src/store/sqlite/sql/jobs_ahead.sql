-- jobs_ahead: how many pending jobs of a queue come before one in the order of its own priority,
-- counted to a thousand.
-- Two halves, so that each is read along an index and stops at the job's own place.
select count(*)
  from (select 1
          from lane
          join job on job.lane = lane.id and job.state = 'pending'
         where lane.queue = :queue
           and lane.priority > :priority
        union all
        select 1
          from lane
          join job on job.lane = lane.id and job.state = 'pending'
         where lane.queue = :queue
           and lane.priority = :priority
           and job.position < :position
         limit 1000);
