-- logs_of_job: where the output of a job's attempts is.
select log
  from attempt
 where job = :job
   and log is not null;
