-- booked: the lines of one job, oldest attempt first.
select job, epoch, model, queue, tags, agent, profile, began_at, input_tokens, output_tokens,
       cache_read_tokens, cache_write_tokens, cost_nano_usd
  from ledger
 where job = :job
 order by epoch, model;
