-- edit_options: change how the attempts of a waiting job are run.
-- Changes one row.
update job_body
   set options = :options
 where job = :job;
