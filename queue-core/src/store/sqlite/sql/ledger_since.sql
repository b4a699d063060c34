-- ledger_since: the lines of attempts that began at or after a moment, by attempt.
select job, epoch, model, queue, tags, agent, profile, began_at, input_tokens, output_tokens,
       cache_read_tokens, cache_write_tokens, cost_nano_usd
  from ledger
 where :since is null
    or began_at >= :since
 order by job, epoch, model;
