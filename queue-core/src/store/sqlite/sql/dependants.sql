-- dependants: the jobs that come after a job, and what they need of it.
select dependency.job, dependency.needs, dependency.met, job.state
  from dependency
  join job on job.id = dependency.job
 where dependency.parent = :job
 order by dependency.job;
