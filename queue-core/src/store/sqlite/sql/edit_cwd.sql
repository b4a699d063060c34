-- edit_cwd: give a waiting job another directory.
-- Changes one row.
update job_body
   set cwd = :cwd
 where job = :job;
