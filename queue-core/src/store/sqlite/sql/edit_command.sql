-- edit_command: give a waiting job another command.
-- Changes one row.
update job_body
   set command = :command
 where job = :job;
