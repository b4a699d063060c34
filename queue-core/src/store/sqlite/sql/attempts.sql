-- attempts: every try at a job, oldest first, with the names of its workers.
select attempt.*,
       worker.name as worker_name,
       adopter.name as adopted_by_name
  from attempt
  left join worker on worker.id = attempt.worker
  left join worker as adopter on adopter.id = attempt.adopted_by
 where attempt.job = :job
 order by attempt.epoch;
