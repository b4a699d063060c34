-- tags: the labels of a job.
select key, value
  from tag
 where job = :job
 order by key;
