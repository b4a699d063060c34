-- reopen_all_lanes: let buckets and gates decide anew, after a bucket or a queue was changed.
-- Changes as many rows as lanes were shut.
update lane
   set shut_at = null, shut_until = null, shut_by = null, shut_by_gate = null,
       shut_by_budget = null
 where shut_until is not null;
