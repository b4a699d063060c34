-- reopen_lanes_of_limit: let a bucket decide anew, after the line before it was changed.
-- Changes as many rows as lanes were shut by it.
update lane
   set shut_at = null, shut_until = null, shut_by = null, shut_by_gate = null,
       shut_by_budget = null
 where shut_by = :limit
   and head is not null
   and shut_until is not null;
