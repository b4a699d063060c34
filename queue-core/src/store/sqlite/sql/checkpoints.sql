-- checkpoints: what a job has saved; one name, or all.
select name, value, epoch, at
  from checkpoint
 where job = :job
   and (:name is null or name = :name)
 order by name;
