-- set_budget: set a budget, or put it in place of the one of that name. What it has counted is
-- counted anew after that.
-- Changes one row.
insert into budget (name, queue, tag_key, tag_value, per, zone, most_nano_usd, most_tokens, hard,
                    created_at, counted_from, nano_usd, tokens, unpriced)
values (:name, :queue, :tag_key, :tag_value, :per, :zone, :cost, :tokens, :hard, :now, 0, 0, 0, 0)
on conflict (name) do update
   set queue = excluded.queue,
       tag_key = excluded.tag_key,
       tag_value = excluded.tag_value,
       per = excluded.per,
       zone = excluded.zone,
       most_nano_usd = excluded.most_nano_usd,
       most_tokens = excluded.most_tokens,
       hard = excluded.hard;
