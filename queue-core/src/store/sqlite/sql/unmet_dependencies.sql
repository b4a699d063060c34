-- unmet_dependencies: how many of a job's dependencies are not met.
-- Gives one row.
select count(*)
  from dependency
 where job = :job
   and met = 0;
