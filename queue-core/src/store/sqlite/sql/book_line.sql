-- book_line: book what an attempt used of one model, with what its job is counted by.
-- Changes one row.
insert into ledger (job, epoch, model, queue, tags, agent, profile, began_at, input_tokens,
                    output_tokens, cache_read_tokens, cache_write_tokens, cost_nano_usd)
select attempt.job,
       attempt.epoch,
       :model,
       job.queue,
       (select json_group_object(key, value) from tag where job = :job),
       :agent,
       :profile,
       attempt.claimed_at,
       :input,
       :output,
       :cache_read,
       :cache_write,
       :cost
  from attempt
  join job on job.id = attempt.job
 where attempt.job = :job
   and attempt.epoch = :epoch;
