-- budgets: every budget, or the one of a name.
select name, queue, tag_key, tag_value, per, zone, most_nano_usd, most_tokens, hard, counted_from,
       nano_usd, tokens, unpriced
  from budget
 where :name is null
    or name = :name
 order by name;
