-- set_result: keep what a job says of its success.
-- Changes one row.
update job_body
   set result = :result
 where job = :job;
