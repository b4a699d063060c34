-- insert_body: add what an attempt of the job needs.
-- Changes one row.
insert into job_body (job, command, cwd, env, options)
values (:job, :command, :cwd, :env, :options);
