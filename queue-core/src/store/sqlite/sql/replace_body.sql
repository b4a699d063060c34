-- replace_body: give a waiting job other contents.
-- Changes one row.
update job_body
   set command = :command, cwd = :cwd, env = :env, options = :options
 where job = :job;
