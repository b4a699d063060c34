-- parents: the jobs that a job comes after, and where they stand.
select dependency.parent, dependency.needs, dependency.met, job.state
  from dependency
  left join job on job.id = dependency.parent
 where dependency.job = :job
 order by dependency.parent;
