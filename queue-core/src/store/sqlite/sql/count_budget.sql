-- count_budget: note what was spent under a budget in the span that began then.
-- Changes one row.
update budget
   set counted_from = :from, nano_usd = :cost, tokens = :tokens, unpriced = :unpriced
 where name = :name;
