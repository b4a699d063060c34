-- sum_ledger: what was spent in a scope by attempts that began in a span. Money is summed up in
-- dollars and the rest, so that no sum overflows.
-- Gives one row.
select coalesce(sum(cost_nano_usd / 1000000000), 0) as usd,
       coalesce(sum(cost_nano_usd % 1000000000), 0) as nanos,
       coalesce(sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens), 0)
         as tokens,
       coalesce(sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens)
                  filter (where cost_nano_usd is null), 0) as unpriced
  from ledger
 where began_at >= :from
   and (:until is null or began_at < :until)
   and (:queue is null or queue = :queue)
   and (:tag_key is null
        or exists (select 1
                     from json_each(tags)
                    where key = :tag_key
                      and (:tag_value is null or value = :tag_value)));
