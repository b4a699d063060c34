-- edit_job: write what may be changed about a waiting job.
-- Changes one row.
update job
   set name = :name,
       queue = :queue,
       priority = :priority,
       lane = :lane,
       max_attempts = :max_attempts,
       backoff = :backoff,
       concurrency_key = :concurrency_key,
       directory = :directory
 where id = :job;
