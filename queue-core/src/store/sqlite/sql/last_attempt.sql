-- last_attempt: the newest try at a job, with the names of its workers.
-- Gives one row, or none when it was never claimed.
select attempt.*,
       worker.name as worker_name,
       adopter.name as adopted_by_name
  from attempt
  left join worker on worker.id = attempt.worker
  left join worker as adopter on adopter.id = attempt.adopted_by
 where attempt.job = :job
 order by attempt.epoch desc
 limit 1;
