-- spend_tokens: write the state of a bucket after jobs were claimed from it.
-- Changes one row.
update limit_bucket
   set tat_ns = :tat_ns, spent = spent + :spent
 where name = :name;
